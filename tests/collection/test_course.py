from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mobileopt.collection.course import Course, Setting, Stopped
from mobileopt.collection.record import Subject
from mobileopt.device import Battery, Device, State
from mobileopt.errors import ConnectionLostError
from mobileopt.run import Plan
from mobileopt.sampling import LEAD, Budget
from mobileopt.validity import thresholds
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]

FIRST, SECOND = map(str, lab.VARIANTS[:2])
ENTRY = replace(thresholds()[0], cooldown=30.0, poll=0.01)


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., Course]:
    """A session of two variants that has done nothing yet, on a phone or on none."""
    order = lab.order(tmp_path, lab.VARIANTS[:2])
    program = lab.program(tmp_path)
    subjects = [Subject(lab.forge(order, each, 1000), program) for each in order.variants]

    def begin(phone: Any = None, **more: Any) -> Course:
        setting = Setting(phone, Device("PHONE1"), Plan(4), Budget(), entry=ENTRY, **more)
        return Course.begin(setting, subjects)

    return begin


def test_every_launch_has_leading_iterations_more_than_was_asked_for(begin):
    course = begin()
    assert {plan.iterations for plan in course.plans.values()} == {4 + LEAD}
    assert course.alive == [FIRST, SECOND]


def test_a_doubt_is_kept_once_and_in_the_order_it_came(begin):
    course = begin()
    course.doubt(FIRST, "hot", "busy")
    course.doubt(FIRST, "busy", "late", "hot")
    assert list(course.doubts[FIRST]) == ["hot", "busy", "late"]
    assert SECOND not in course.doubts


def test_a_program_that_is_not_there_fails_its_variant_and_no_other(begin, connected):
    course = begin(connected.phone)
    assert course.attempt(FIRST) is None
    assert course.failures[FIRST].fault == "missing_program"
    assert course.alive == [SECOND]


def test_a_phone_that_is_gone_fails_the_session_and_no_variant(begin, connected):
    course = begin(connected.phone)
    connected.adbd.power_off()
    with pytest.raises(ConnectionLostError):
        course.attempt(FIRST)
    assert course.alive == [FIRST, SECOND]


def test_who_is_asked_to_stop_launches_nothing_and_fails_no_variant(begin):
    course = begin()
    course.setting.stop.set()
    with pytest.raises(Stopped):
        course.attempt(FIRST)
    assert (course.launches, course.failures) == (0, {})


def test_who_waits_for_a_cool_phone_says_why_and_stops_when_asked_to(begin, connected):
    told: list[str] = []

    def tell(said: str) -> None:
        told.append(said)
        course.setting.stop.set()

    course = begin(connected.phone, tell=tell)
    connected.root.thermal(status=2)
    with pytest.raises(Stopped):
        course.enter()
    assert [each.partition(": ")[2] for each in told] == ["its thermal status is 2"]
    assert course.waiting > 0


def test_heat_is_counted_from_when_the_phone_was_last_fit(begin, connected):
    connected.root.battery(celsius=33)
    course = begin(connected.phone)
    course.before = State(battery=Battery(temperature=25.0))
    assert "its battery warmed from 25.0" in course.heated()
    course.enter()
    assert course.heated() == ""
