from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mobileopt.device import Device
from mobileopt.store import Store
from tests.collection import lab
from tests.collection.campaign import Tally
from tests.collection.ground import VARIANTS, Field


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Iterator[Tally]:
    """What one test counts; its report carries it to the end, also from another process."""
    counts = Tally()
    yield counts
    record_property("campaign", counts.sizes)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("mobileopt.adb.phone.GRACE", 0.3)
    monkeypatch.setattr("mobileopt.adb.phone.DEADLINE", 3.0)


@pytest.fixture
def ground(server, plug, tmp_path) -> Field:
    victim, witness = plug("VICTIM"), plug("WITNESS")
    order = lab.order(
        tmp_path, VARIANTS, redo=True, deadline=2, patience=2.5, budget=lab.Budget(rounds=2)
    )
    names = tuple(Device(serial, model="Pixel 8").name for serial in ("VICTIM", "WITNESS"))
    before = [lab.old_result(order, name, each) for name in names for each in VARIANTS]
    Store(order.store).add(*before)
    return Field(victim, witness, order, (names[0], names[1]))
