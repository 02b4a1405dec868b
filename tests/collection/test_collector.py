from __future__ import annotations

from dataclasses import replace

from mobileopt.store import Store
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
