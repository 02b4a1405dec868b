from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.clocks import elapsed
from mobileopt.device import Battery, Cpu, Device, State
from mobileopt.errors import NotReadyError
from mobileopt.validity import (
    Ran,
    blockers,
    findings,
    gate,
    thresholds,
)
from mobileopt.validity import judge as judge_run

LOW, MIDDLE, TOP = 4e8, 1e9, 2e9
PHONE = Device(serial="A", model="P", build_type="user", capacities={0: 180, 4: 1024})


def cpu(index: int, residency: dict[float, float], limit: float = TOP) -> Cpu:
    return Cpu(index, index, "schedutil", TOP, LOW, limit, TOP, residency)


def state(little: dict[float, float], big: dict[float, float], **changed) -> State:
    calm = State(
        uptime=1000.0,
        thermal_status=0,
        battery=Battery(0.8, 30.0, True),
        cpus=(cpu(0, little), cpu(4, big)),
        affinity=(0, 4),
        load=0.4,
        power_save=False,
    )
    return replace(calm, **changed)


BEFORE = state({LOW: 10.0}, {LOW: 10.0, TOP: 5.0})
AFTER = state({LOW: 20.0}, {LOW: 10.0, TOP: 15.0}, uptime=1010.0)


def judge(device, before, after, **ran):
    """Judge a run whose program ran all the time between the states."""
    return judge_run(device, before, after, Ran(elapsed(before, after), **ran))


def test_a_run_at_the_highest_clock_of_a_calm_phone_is_valid():
    assert judge(PHONE, BEFORE, AFTER).verdict == "valid"


@pytest.mark.parametrize(("clock", "verdict"), [(1.7e9, "suspect"), (1e9, "invalid")])
def test_a_phone_that_throttled_in_the_middle_is_found(clock, verdict):
    after = state({LOW: 20.0}, {LOW: 10.0, TOP: 5.0, clock: 10.0})
    judged = judge(PHONE, BEFORE, after)
    assert judged.verdict == verdict
    assert f"{clock / TOP:.0%} of its highest clock" in judged.reasons[0]


def test_a_phone_that_does_not_account_for_its_clock_is_suspect():
    silent = replace(AFTER, cpus=())
    assert "throttling cannot be told" in judge(PHONE, silent, silent).reasons[0]


def test_a_clock_the_kernel_held_down_is_suspect():
    capped = replace(AFTER, cpus=(cpu(0, {LOW: 20.0}), cpu(4, {LOW: 10, TOP: 15}, limit=1.5e9)))
    assert judge(PHONE, BEFORE, capped).reasons == ("core 4 was held at 75% of its highest clock",)


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reason"),
    [
        ({}, {"thermal_status": 1}, "suspect", "from 0 to 1"),
        ({"thermal_status": 1}, {}, "suspect", "from 1 to 0"),
        ({}, {"thermal_status": 3}, "invalid", "reached 3"),
        ({}, {"thermal_override": True}, "suspect", "overridden"),
        ({}, {"battery": Battery(0.8, 34.0, True)}, "suspect", "warmed from 30.0 to 34.0 C"),
        ({}, {"uptime": 5.0}, "invalid", "restarted"),
        ({}, {"affinity": (4,)}, "suspect", "cores the shell may use changed"),
        ({"affinity": (0,)}, {"affinity": (0,)}, "invalid", "20% of its highest clock"),
        ({"affinity": (0,)}, {"affinity": (0,)}, "invalid", "fastest cores"),
        ({}, {"power_save": True}, "suspect", "battery saver"),
    ],
)
def test_what_changed_during_a_run_is_told(before, after, verdict, reason):
    judged = judge(PHONE, replace(BEFORE, **before), replace(AFTER, **after))
    assert judged.verdict == verdict
    assert reason in "; ".join(judged.reasons)


@pytest.mark.parametrize(
    ("before", "after", "threads", "reason"),
    [
        (0.4, 2.0, 1, None),
        (0.4, 2.5, 1, "its load rose from 0.4 to 2.5, more than 1 threads can do"),
        (0.4, 2.5, 4, None),
        (1.6, 1.6, 1, "its load was 1.6 on 2 cores at the start"),
    ],
)
def test_others_at_work_on_the_phone_make_a_run_suspect(before, after, threads, reason):
    judged = judge(PHONE, replace(BEFORE, load=before), replace(AFTER, load=after), threads=threads)
    assert judged.reasons == ((reason,) if reason else ())


def test_a_program_that_could_run_elsewhere_than_it_was_pinned_is_suspect():
    judged = judge(PHONE, BEFORE, AFTER, pinned=(4,), affinity=(0, 4))
    assert judged.reasons == ("its program was to run on cores 4 and could on 0, 4",)
    assert judge(PHONE, BEFORE, AFTER, pinned=(4,), affinity=(4,)).verdict == "valid"


def test_only_the_time_the_program_ran_is_judged_not_the_idle_time_around_it():
    idle = state({LOW: 20.0}, {LOW: 1000.0, TOP: 15.0}, uptime=1010.0)
    assert judge(PHONE, BEFORE, idle).verdict == "invalid"
    assert judge_run(PHONE, BEFORE, idle, Ran({4: {TOP: 10.0}})).verdict == "valid"


@pytest.mark.parametrize(
    ("after", "throttled"),
    [
        ({}, False),
        ({"cpus": (cpu(0, {LOW: 20.0}), cpu(4, {LOW: 10.0, TOP: 5.0, 1.7e9: 10.0}))}, True),
        ({"cpus": (cpu(0, {LOW: 20.0}), cpu(4, {LOW: 10, TOP: 15}, limit=1.5e9))}, True),
        ({"thermal_status": 1}, True),
        ({"battery": Battery(0.8, 34.0, True)}, False),
        ({"uptime": 5.0}, False),
    ],
)
def test_what_a_cooler_phone_would_do_better_is_told_apart(after, throttled):
    after = replace(AFTER, **after)
    found = findings(PHONE, BEFORE, after, Ran(elapsed(BEFORE, after)))
    assert any(each.throttled for each in found) == throttled


def test_an_emulator_is_invalid_and_a_debug_build_suspect():
    assert judge(replace(PHONE, emulator=True), BEFORE, AFTER).verdict == "invalid"
    debug = judge(replace(PHONE, build_type="userdebug"), BEFORE, AFTER)
    assert (debug.verdict, debug.reasons) == ("suspect", ("it runs a 'userdebug' build",))


def test_a_runners_doubt_makes_a_run_suspect():
    judged = judge(PHONE, BEFORE, AFTER, doubts=("it crashed after it had finished",))
    assert (judged.verdict, len(judged.reasons)) == ("suspect", 1)


def test_a_run_pinned_to_slow_cores_on_purpose_is_judged_by_those():
    after = state({LOW: 10.0, TOP: 10.0}, {LOW: 20.0, TOP: 5.0}, uptime=1010.0)
    assert judge(PHONE, BEFORE, after, pinned=(0,)).verdict == "valid"


@pytest.mark.parametrize(
    ("changed", "reason", "passes"),
    [
        ({"thermal_status": 1}, "thermal status is 1", True),
        ({"temperatures": {"skin": 41.0}}, "'skin' is at 41.0 C", True),
        ({"battery": Battery(0.8, 40.0)}, "battery is at 40.0 C", True),
        ({"load": 9.0}, "load is 9.0 on 2 cores", True),
        ({"battery": Battery(0.1, 30.0)}, "battery is at 10%", False),
        ({"power_save": True}, "saves power", False),
        ({"thermal_override": True}, "overridden", False),
    ],
)
def test_what_speaks_against_a_run_is_told_and_whether_it_passes(changed, reason, passes):
    (blocker,) = blockers(PHONE, replace(BEFORE, **changed))
    assert reason in blocker.reason
    assert blocker.passes == passes


def test_a_phone_that_says_nothing_is_not_blocked_by_it():
    assert blockers(PHONE, State()) == ()


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_hot_phone_is_waited_for_until_it_is_cool():
    clock = Clock()
    states = iter([replace(BEFORE, thermal_status=2)] * 3 + [BEFORE])
    told: list[str] = []
    found = gate(
        PHONE,
        lambda: next(states),
        waiting=lambda reason, left: told.append(f"{reason}, {left:g} s left"),
        sleep=clock.sleep,
        clock=clock,
    )
    assert found is BEFORE
    assert told[0] == "its thermal status is 2, 180 s left"
    assert clock.now == 3 * thresholds()[0].poll


def test_a_phone_that_stays_hot_is_given_up_within_the_cooldown():
    clock = Clock()
    hot = replace(BEFORE, thermal_status=2)
    with pytest.raises(NotReadyError, match="thermal status is 2"):
        gate(PHONE, lambda: hot, sleep=clock.sleep, clock=clock)
    assert clock.now == thresholds()[0].cooldown


def test_what_waiting_does_not_help_is_told_at_once():
    clock = Clock()
    empty = replace(BEFORE, battery=Battery(0.05, 30.0), thermal_status=1)
    with pytest.raises(NotReadyError, match=r"status is 1; .*charge it"):
        gate(PHONE, lambda: empty, sleep=clock.sleep, clock=clock)
    assert clock.now == 0


@settings(deadline=None)
@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_slower_clock_is_never_judged_better(one, other):
    order = ("valid", "suspect", "invalid")
    slow, fast = sorted((one, other))
    verdicts = [
        judge(PHONE, state({}, {}), state({}, {share * TOP: 10.0}, uptime=1010.0)).verdict
        for share in (slow, fast)
    ]
    assert order.index(verdicts[0]) >= order.index(verdicts[1])
