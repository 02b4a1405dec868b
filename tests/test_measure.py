from itertools import chain

import pytest

from mobileopt import measure
from mobileopt.errors import MeasurementError
from mobileopt.measure import SessionPlan
from mobileopt.runners.host import Allocations, Program, Times


class FakeWorker:
    """Stands in for a process: answers at once, and remembers in which order it was asked."""

    asked: list[str]
    started: list[str]
    pinned: list[int]
    stop_after: float
    warmup = (0.25, 0.25)

    def __init__(self, folder):
        self.name = folder
        FakeWorker.started.append(folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait(self):
        return self.name != "restless"

    def pin(self, core):
        FakeWorker.pinned.append(core)

    def sample(self, count, seconds, **ask):
        FakeWorker.asked.append(self.name)
        if len(FakeWorker.asked) > FakeWorker.stop_after:
            raise KeyboardInterrupt
        return Times((1.0,) * count, (0.5,) * count, page_faults=len(FakeWorker.asked))

    def allocations(self):
        return Allocations(len(self.name), 64)


@pytest.fixture(autouse=True)
def _workers(monkeypatch):
    FakeWorker.asked, FakeWorker.started, FakeWorker.stop_after = [], [], float("inf")
    FakeWorker.pinned = []
    monkeypatch.setattr(measure, "Worker", FakeWorker)


def session(*names, **plan):
    return measure.session({name: name for name in names}, SessionPlan(**plan))


def test_every_round_measures_every_variant_once():
    record = session("a", "b", "c", launches=2, rounds=3, samples=4)
    assert record.launches == [0, 0, 0, 1, 1, 1]
    assert all(len(rounds) == 6 for rounds in record.wall.values())
    assert record.wall["a"][0] == (1.0,) * 4
    assert record.cpu["a"][0] == (0.5,) * 4
    assert sorted(chain(*record.page_faults.values())) == list(range(1, 19))
    for start in range(0, 18, 3):
        assert sorted(FakeWorker.asked[start : start + 3]) == ["a", "b", "c"]


def test_the_order_within_rounds_is_drawn_anew_and_repeats_with_the_seed():
    def order(seed):
        FakeWorker.asked = []
        session("a", "b", "c", launches=1, rounds=20, seed=seed)
        return FakeWorker.asked

    first = order(1)
    assert len({tuple(first[at : at + 3]) for at in range(0, 60, 3)}) == 6
    assert order(1) == first
    assert order(2) != first


def test_the_measuring_time_is_that_of_warm_up_and_measured_passes():
    record = session("a", "b", launches=2, rounds=3, samples=4)
    assert record.warmup == {"a": 1.0, "b": 1.0}
    assert record.seconds == 2 * 2 * 0.5 + 2 * 6 * 4 * 1.0


def test_every_launch_starts_every_process_afresh():
    session("a", "b", launches=3, rounds=1)
    assert sorted(FakeWorker.started) == ["a"] * 3 + ["b"] * 3


def test_all_processes_of_a_launch_share_one_core_drawn_for_it(monkeypatch):
    monkeypatch.setattr(measure.os, "sched_getaffinity", lambda _: {4, 7})
    session("a", "b", "c", launches=20, rounds=1)
    launches = [FakeWorker.pinned[at : at + 3] for at in range(0, 60, 3)]
    assert all(len(set(cores)) == 1 for cores in launches)
    assert {cores[0] for cores in launches} == {4, 7}


def test_ctrl_c_keeps_the_rounds_that_were_finished():
    FakeWorker.stop_after = 5
    record = session("a", "b", launches=2, rounds=5)
    assert record.interrupted
    assert record.launches == [0, 0]
    assert {len(rounds) for rounds in record.wall.values()} == {2}


def test_a_variant_whose_warm_up_did_not_settle_is_named():
    assert session("a", "restless", launches=1, rounds=1).unsettled == {"restless"}


def test_progress_is_told_after_each_round():
    told = []
    measure.session({"a": "a"}, SessionPlan(launches=2, rounds=3), lambda: told.append(1))
    assert len(told) == 6


def test_a_process_that_dies_ends_the_session(monkeypatch):
    def die(self, count, seconds):
        raise MeasurementError("the process ended")

    monkeypatch.setattr(FakeWorker, "sample", die)
    with pytest.raises(MeasurementError, match="the process ended"):
        session("a", launches=1, rounds=1)


def test_names_of_a_group_run_next_to_each_other_in_an_order_drawn_anew():
    measure.session(
        {name: name for name in "abcd"},
        SessionPlan(launches=1, rounds=20),
        together=[["a", "b"], ["c", "d"]],
    )
    rounds = [FakeWorker.asked[at : at + 4] for at in range(0, 80, 4)]
    assert all(
        {frozenset(r[:2]), frozenset(r[2:])} == {frozenset("ab"), frozenset("cd")} for r in rounds
    )
    assert len({tuple(each) for each in rounds}) == 8


def test_no_round_begins_after_the_end_of_the_time():
    record = measure.session({"a": "a"}, SessionPlan(launches=1, rounds=3), until=0.0)
    assert record.launches == []
    assert not record.interrupted


def test_programs_that_differ_in_what_they_ask_share_a_process():
    asked = [Program("passes", ("run",), ask=(("pass", name),)) for name in ("fx", "nhwc")]
    measure.session(dict(zip("ab", asked, strict=True)), SessionPlan(launches=1, rounds=1))
    assert FakeWorker.started == [Program("passes", ("run",))]


def test_allocations_are_counted_in_processes_of_their_own():
    told = []
    found = measure.allocations({"a": "a", "bb": "bb"}, lambda: told.append(1))
    assert found == {"a": Allocations(1, 64), "bb": Allocations(2, 64)}
    assert FakeWorker.started == ["a", "bb"]
    assert len(told) == 2
