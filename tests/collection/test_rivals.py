"""Another collector on the phone that is being measured, here or on another computer."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from mobileopt.adb import Phone, fleet
from mobileopt.adb.claim import claimed
from mobileopt.collection import Collection, Outcome
from tests.collection.ground import MOMENTS, check, restored, strike

pytest_plugins = ["tests.loopback.fixtures"]
pytestmark = pytest.mark.usefixtures("impatient")


def test_two_collectors_on_one_phone_are_one_too_many(ground, server, tally):
    def hold(phone: Phone) -> Any:
        return claimed(phone, ground.names[0], ground.order.locks)

    with hold(server.connect(ground.victim.adbd.address)):
        outcomes = strike(ground, server, tally, "", lambda: None)
    failed = [each for each in outcomes if each.device == ground.names[0]]
    assert [each.error for each in failed] == ["NotReadyError", "NotReadyError"]
    assert "is being measured by process" in failed[0].reason
    assert "since 0 s" in failed[0].reason or "since 1 s" in failed[0].reason
    assert [each.status for each in outcomes if each.device == ground.names[1]] == ["stored"] * 2
    check(ground, tally, outcomes, "two collectors")
    restored(ground, server, tally, "two collectors")


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_second_collector_that_comes_later_disturbs_nothing(ground, server, tally, moment):
    late: list[Outcome] = []

    def come() -> None:
        found = [e for e in fleet.find(server) if e.device and e.device.name == ground.names[0]]
        late.extend(Collection(ground.order).run([(e.device, e.phone) for e in found]))

    outcomes = strike(ground, server, tally, moment, come)
    assert [each.error for each in late] == ["NotReadyError", "NotReadyError"]
    assert {each.status for each in outcomes} == {"stored"}
    check(ground, tally, outcomes, "a second collector")
    tally.clean("a second collector", ground.victim.root, ground.witness.root)


def test_a_claim_of_another_computer_is_respected_until_it_is_stale(ground, server, tally):
    claim = "data/local/tmp/mobileopt/owner"
    ground.victim.root.write(claim, "another-lab 77 123")
    outcomes = strike(ground, server, tally, "", lambda: None)
    failed = [each for each in outcomes if each.device == ground.names[0]]
    assert "process 77 of 'another-lab'" in failed[0].reason
    path = ground.victim.root.folder / claim
    old = time.time() - 7200
    os.utime(path, (old, old))
    check(ground, tally, outcomes, "another computer")
    restored(ground, server, tally, "another computer")
