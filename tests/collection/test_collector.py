from __future__ import annotations

from dataclasses import replace

from mobileopt.store import Store
from mobileopt.variant import Variant
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]


def test_every_variant_is_stored_on_every_phone(server, plug, tmp_path):
    plug("ONE"), plug("TWO")
    order = lab.order(tmp_path)
    outcomes = lab.collect(order, server)
    assert [each.status for each in outcomes] == ["stored"] * 8
    assert len(lab.values(order)) == 8
    assert Store(order.store).verify() == []
    assert all(abs(value - 0.001001) < 1e-6 for value in lab.values(order).values())


def test_what_is_stored_is_not_run_again_unless_asked(server, connected, tmp_path):
    order = lab.order(tmp_path, lab.VARIANTS[:2])
    lab.collect(order, server)
    assert {each.status for each in lab.collect(order, server)} == {"present"}
    assert {each.status for each in lab.collect(replace(order, redo=True), server)} == {"stored"}
    assert len(list(Store(order.store).runs())) == 4


def test_a_session_that_fails_fails_only_what_was_not_told_before(server, connected, tmp_path):
    recipes = (*lab.RECIPES, "fused-float-nchw-eager")
    variants = tuple(Variant.parse(f"mlp/{recipe}") for recipe in recipes)
    order = lab.order(
        tmp_path, variants, benchmark=replace(lab.BENCHMARK, params=(lab.MODELS, recipes))
    )
    connected.root.thermal(status=3)
    outcomes = lab.collect(order, server)
    assert [each.status for each in outcomes] == ["skipped", "failed", "failed"]


def test_an_emulator_is_not_measured_a_second_time_for_it(server, plug, tmp_path):
    plug("EMULATOR", **{"ro.kernel.qemu": "1"})
    order = lab.order(tmp_path, lab.VARIANTS[:1])
    told: list[str] = []
    (outcome,) = lab.collect(order, server, lambda event: told.append(event.sentence))
    assert (outcome.status, outcome.reason) == ("failed", "invalid: it is an emulator")
    assert not any("once more" in each for each in told)


def test_a_store_that_cannot_be_written_fails_every_variant_once(server, connected, tmp_path):
    order = lab.order(tmp_path)
    order.store.write_text("no folder")
    outcomes = lab.collect(order, server)
    assert [each.error for each in outcomes] == ["StoreError"] * 4
    assert lab.leftovers(connected.root) == []
