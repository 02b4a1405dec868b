from pathlib import Path

import pytest
from tuning.races import candidate, name

from mobileopt import measure
from mobileopt.errors import ProcessDiedError
from mobileopt.measure import SessionPlan
from mobileopt.runners.host import Times
from mobileopt.tuning import heats
from mobileopt.tuning.heats import Track
from mobileopt.tuning.race import Race, Rules

SECONDS = {"a": 0.03, "b": 0.01, "c": 0.02}
FOLDERS = {name(word): Path(word) for word in SECONDS}


class FakeWorker:
    """Stands in for a process that takes what its folder's name says; some die, one is stopped."""

    deadly: frozenset[str]
    stop_after: float
    asked: int

    def __init__(self, folder):
        self.folder = folder
        self.warmup = (1.0,)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait(self):
        if self.folder.name in self.deadly:
            raise ProcessDiedError(str(self.folder), "killed")
        return True

    def pin(self, core):
        pass

    def sample(self, count, seconds):
        FakeWorker.asked += 1
        if FakeWorker.asked > self.stop_after:
            raise KeyboardInterrupt
        times = (SECONDS[self.folder.name] + FakeWorker.asked * 1e-6,) * count
        return Times(times, times)


@pytest.fixture(autouse=True)
def _workers(monkeypatch):
    FakeWorker.deadly, FakeWorker.stop_after, FakeWorker.asked = frozenset(), float("inf"), 0
    monkeypatch.setattr(measure, "Worker", FakeWorker)


def race(**rules):
    return Race(tuple(map(candidate, SECONDS)), Rules(**rules))


def run(started=None, **track):
    return heats.run(started or race(), Track(FOLDERS, SessionPlan(rounds=3, samples=2), **track))


def test_a_race_is_run_on_sessions_of_one_launch_each():
    done = run()
    assert done.end == "one left"
    assert done.result().best.name == name("b")
    assert done.heats[0].samples(name("a")) == 6
    assert done.heats[0].batches[0].warmup == dict.fromkeys(FOLDERS, 1.0)


def test_a_process_that_dies_costs_its_candidate_alone():
    FakeWorker.deadly = frozenset("b")
    done = run()
    assert done.failed == {name("b"): "killed"}
    assert done.result().best.name == name("c")


def test_a_reference_that_dies_is_replaced_in_the_next_launch():
    FakeWorker.deadly = frozenset("a")
    done = run(race(together=2))
    assert done.failed == {name("a"): "killed"}
    assert done.result().best.name == name("b")


def test_ctrl_c_keeps_what_was_finished():
    FakeWorker.stop_after = 5
    done = run()
    assert done.end == "interrupted"
    assert len(done.heats[0].ratios[name("b")]) == 1


def test_the_deadline_ends_the_race_between_batches():
    done = run(race(together=2), deadline=0.0)
    assert done.end == "budget"
    assert FakeWorker.asked == 0


def test_progress_is_told_after_each_round_and_each_launch():
    rounds, races = [], []
    run(race(eliminate=False, launches=2), on_round=lambda: rounds.append(1),
        on_heat=races.append)  # fmt: skip
    assert len(rounds) == 2 * 3
    assert [len(each.heats) for each in races] == [1, 2]


def test_at_least_two_processes_may_live_together():
    assert 2 <= heats.together() <= 16
