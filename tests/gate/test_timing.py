import math
from pathlib import Path

import pytest

from gate.simulated import LAUNCH, Machine, pairs
from mobileopt.effort import Look
from mobileopt.gate import timing
from mobileopt.gate.timing import Clock
from mobileopt.measure import Record

NAMES = ("net/one", "net/two", "net/three", "net/four")


def outcomes(machine, budget=300.0, names=NAMES, threshold=0.05):
    found = timing.judge(pairs(*names), threshold, machine.clock(budget))
    return {each.subject: each.outcome for each in found}


@pytest.mark.parametrize("seed", range(20))
def test_without_a_change_nothing_is_worse_and_all_is_told(seed):
    assert set(outcomes(Machine(seed=seed)).values()) == {"ok"}


@pytest.mark.parametrize("seed", range(20))
def test_a_slowdown_of_ten_percent_is_found_and_named(seed):
    found = outcomes(Machine({"net/two": 0.1}, seed=seed))
    assert found == dict.fromkeys(NAMES, "ok") | {"net/two": "worse"}


def test_a_pass_that_waits_is_worse_by_the_wall_clock_though_it_takes_no_cpu_time():
    machine = Machine(waits={"net/two": 0.1})
    found = timing.judge(pairs(*NAMES), 0.05, machine.clock(300))
    [worse] = [each for each in found if each.outcome == "worse"]
    assert (worse.subject, worse.reason) == ("net/two", "by the wall clock")


@pytest.mark.parametrize(("waited", "outcome"), [(1.12, "unclear"), (1.0, "ok")])
def test_a_wait_hidden_in_the_noise_of_the_wall_clock_is_not_cleared_by_cpu_time(waited, outcome):
    odd = [0.8, 1.25] * 8  # what a neighbour does to the wall times, and not to CPU time
    cpu = [(0.1 + 0.0001 * (at % 5),) for at in range(16)]
    base = timing.Side([(t,) for (t,) in cpu], cpu, list(range(16)))
    wall = [(waited * t * each,) for (t,), each in zip(cpu, odd, strict=True)]
    found = timing.verdict(base, timing.Side(wall, cpu, list(range(16))), 0.05, Look(1, of=4))
    assert found.outcome == outcome
    assert ("wall time is 12.0 % longer" in found.reason) == (outcome == "unclear")


def test_a_suspect_is_measured_again_alone_in_a_session_of_its_own():
    machine = Machine({"net/two": 0.1})
    outcomes(machine)
    names, seeds = zip(*machine.sessions, strict=True)
    assert len(names[0]) == 8
    assert len(names[-1]) == 2
    assert len(set(seeds)) == len(seeds)


def test_a_suspicion_that_is_not_confirmed_is_no_alarm():
    machine = Machine({"net/two": 0.1}, only_first=True)
    found = timing.judge(pairs(*NAMES), 0.05, machine.clock(300))
    [doubted] = [each for each in found if each.subject == "net/two"]
    assert doubted.outcome == "ok"
    assert "not confirmed" in doubted.reason


def test_an_improvement_is_not_worse():
    assert outcomes(Machine({"net/two": -0.3}))["net/two"] == "ok"


def test_a_machine_too_noisy_for_the_threshold_cannot_tell_and_says_what_it_would_take():
    machine = Machine(launch_noise=0.5)
    found = timing.judge(pairs("net/one"), 0.05, machine.clock(200))
    assert found[0].outcome == "unclear"
    assert "more" in found[0].reason


def test_too_little_time_for_an_interval_cannot_tell():
    machine = Machine()
    found = timing.judge(pairs("net/one"), 0.05, machine.clock(2.5 * LAUNCH))
    assert found[0].outcome == "unclear"
    assert "launches fit into the budget" in found[0].reason


def test_no_time_at_all_leaves_every_benchmark_untold():
    found = timing.judge(pairs(*NAMES), 0.05, Machine().clock(-1.0))
    assert {each.outcome for each in found} == {"unclear"}
    assert all(math.isnan(each.ratio) for each in found)


def test_a_session_whose_ratio_drifts_cannot_tell():
    machine = Machine(launch_noise=0.002)
    machine.drift = 0.001
    found = timing.judge(pairs("net/one"), 0.15, machine.clock(250))
    assert found[0].outcome != "worse"


@pytest.mark.parametrize("budget", [35.0, 60.0, 300.0])
@pytest.mark.parametrize("slower", [0.0, 0.1])
def test_the_budget_is_never_exceeded_by_more_than_a_launch(budget, slower):
    machine = Machine({"net/two": slower}, launch_noise=0.1)
    outcomes(machine, budget)
    assert machine.time <= budget + LAUNCH


def test_decided_benchmarks_are_not_measured_on():
    machine = Machine()
    outcomes(machine)
    assert machine.time < 300


def test_a_round_past_the_deadline_is_the_sessions_to_refuse():
    told = []

    def session(folders, plan, *, together, until):
        told.append(until)
        return Record({name: [] for name in folders}, {name: [] for name in folders}, [])

    times = iter(float(each) for each in range(1000))
    timing.judge(pairs("net/one"), 0.05, Clock(20.0, now=lambda: next(times), session=session))
    assert set(told) == {20.0}


def test_ctrl_c_in_a_session_stops_the_whole():
    def session(folders, plan, *, together, until):
        return Record({}, {}, [], interrupted=True)

    with pytest.raises(KeyboardInterrupt):
        timing.judge(pairs("net/one"), 0.05, Clock(20.0, now=lambda: 0.0, session=session))


def test_base_and_head_of_a_benchmark_run_next_to_each_other():
    told = []

    class Watched(Machine):
        def session(self, folders, plan, *, together, until):
            told.extend(together)
            return super().session(folders, plan, together=together, until=until)

    outcomes(Watched(), 30)
    assert all(len(pair) == 2 for pair in told)
    assert {Path(a.rpartition(",")[0]) == Path(b.rpartition(",")[0]) for a, b in told} == {True}
