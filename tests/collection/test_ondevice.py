from __future__ import annotations

from dataclasses import replace

import pytest

from mobileopt.adb import performance
from mobileopt.collection import session, traces
from mobileopt.collection.exports import Exports
from mobileopt.errors import MeasurementError
from mobileopt.store import Store
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]


@pytest.fixture
def order(tmp_path):
    return lab.order(tmp_path, lab.VARIANTS[:3])


def test_what_nobody_has_foreseen_on_one_phone_fails_that_phone_alone(
    order, server, plug, monkeypatch
):
    plug("ONE"), plug("TWO")
    measure = session.measure

    def broken(setting, *rest):
        if setting.device.serial == "ONE":
            raise ZeroDivisionError("of all things")
        return measure(setting, *rest)

    monkeypatch.setattr(session, "measure", broken)
    outcomes = lab.collect(order, server)
    assert sorted(each.status for each in outcomes) == ["failed"] * 3 + ["stored"] * 3
    failed = [each for each in outcomes if each.status == "failed"]
    assert {each.error for each in failed} == {"ZeroDivisionError"}
    assert "nobody has foreseen in test_ondevice.py" in failed[0].reason
    assert "of all things" in failed[0].reason
    recorded = [each for each in Store(order.store).runs() if each["reason"]]
    assert len(recorded) == 3


def test_a_watch_that_fails_on_one_phone_ends_no_other(order, server, plug):
    plug("ONE"), plug("TWO")
    seen: list[str] = []

    def watch(event) -> None:
        seen.append(event.device)
        if event.device == min(seen) and event.sentence.startswith("round 1"):
            raise KeyError("a watcher's own")

    outcomes = lab.collect(order, server, watch)
    assert len(outcomes) == 6
    assert {each.status for each in outcomes} == {"failed", "stored"}


@pytest.mark.parametrize("redo", [False, True])
def test_what_a_killed_run_left_is_undone_though_nothing_is_to_be_measured(
    order, server, connected, redo
):
    lab.collect(order, server)
    connected.root.write("state/fixed_performance", "true\n")
    for path in (performance.MARK, traces.RUNNING, f"{traces.MODELS}/0123.pt"):
        connected.root.write(path, "gone 1 1")
    programs = () if redo else order.programs  # without one nothing can be measured either
    outcomes = lab.collect(replace(order, redo=redo, programs=programs), server)
    assert {each.error or each.status for each in outcomes} == {"AbiError" if redo else "present"}
    assert lab.leftovers(connected.root) == []


def test_a_reference_that_cannot_be_exported_is_told_and_no_failure(
    order, server, connected, monkeypatch
):
    reference = lab.VARIANTS[3]
    get = Exports.get

    def dying(self, model, recipes, *rest):
        if reference.recipe in recipes and len(recipes) == 1 and model == reference.model:
            raise MeasurementError("the export died")
        return get(self, model, recipes, *rest)

    monkeypatch.setattr(Exports, "get", dying)
    told: list[str] = []
    outcomes = lab.collect(
        replace(order, references=(reference,)), server, lambda event: told.append(event.sentence)
    )
    assert {(each.status, each.validity) for each in outcomes} == {("stored", "valid")}
    assert any("is no reference: the export died" in each for each in told)


def test_the_models_of_a_session_are_removed_once_it_is_stored(order, server, connected):
    held: list[int] = []

    def watch(event) -> None:
        if event.sentence.endswith(": exporting"):
            held.append(len(list(connected.root.path(traces.MODELS).glob("*"))))

    outcomes = lab.collect(replace(order, references=order.variants[:1]), server, watch)
    assert {each.status for each in outcomes} == {"stored"}
    assert held == [0, 1]  # the reference's
