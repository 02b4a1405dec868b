"""Phones and folders by names that are meant to do harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobileopt.adb import fleet
from tests.collection import lab
from tests.collection.ground import VARIANTS, in_time

pytest_plugins = ["tests.loopback.fixtures"]
pytestmark = pytest.mark.usefixtures("impatient")


@pytest.mark.parametrize(
    "name",
    ["two words", "quo'te", 'dou"ble', "semi; touch owned", "$(touch owned)", "../../up", "`id`"],
)
def test_a_hostile_serial_and_hostile_paths_are_only_names(server, plug, tally, tmp_path, name):
    tally.injected += 1
    phone = plug(f"serial {name}")
    folder = tmp_path / name.replace("/", "_")
    folder.mkdir()
    order = lab.order(folder, VARIANTS, budget=lab.Budget(rounds=1))
    outcomes = in_time(tally, lambda: lab.collect(order, server))
    assert [each.status for each in outcomes] == ["stored"] * 2
    tally.check(order, outcomes, name)
    tally.clean(name, phone.root)
    assert not list(tmp_path.rglob("owned"))
    assert not Path("owned").exists()


def test_a_serial_with_a_line_break_is_no_serial(server, plug, tally):
    tally.injected += 1
    plug("line\nbreak")
    (found,) = fleet.find(server)
    assert found.phone is None
    assert "ro.serialno" in found.problem
