"""A collector that is killed at any moment: the next one completes, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace

import pytest

from mobileopt.store import Store
from tests.collection import lab
from tests.collection.campaign import NEW

pytest_plugins = ["tests.loopback.fixtures"]

MOMENTS, REPEATED = 30, 8
TRIES = 200
"""A kill counts only when it found the collector at work."""

WITHIN = 2.5
"""Seconds after the start of a collection, which takes about as long on a quiet machine."""


@pytest.fixture(scope="module")
def processes():
    """Processes forked from one that has imported everything, so that each starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.collection.lab", "asv.results", "pandas"])
    return context


@pytest.fixture
def ground(server, plug, tmp_path, tally):
    phones = [plug("ONE"), plug("TWO")]
    order = lab.order(tmp_path)

    def check():
        assert Store(order.store).verify() == []
        tally.clean("killed", *(phone.root for phone in phones))

    return order, phones, check


def start(processes, order, server, *, redo: bool = False):
    words = (str(order.repository), server.port, redo, str(order.store))
    process = processes.Process(target=lab.child, args=words, daemon=True)
    process.start()
    return process


def kill_at(moment: float, process) -> bool:
    """Kill a process that many seconds after its start; gives whether it still ran."""
    time.sleep(moment)
    process.kill()
    process.join(10)
    return process.exitcode == -signal.SIGKILL


def stored(order) -> set[tuple[str, str]]:
    return set(lab.values(order)) if order.store.exists() else set()


def runs(order) -> list[tuple[str, ...]]:
    found = [each for each in Store(order.store).runs() if each["kind"] == "run"]
    return [(each["run"], each["machine"], *each["combination"]) for each in found]


@pytest.mark.slow
def test_a_collector_killed_at_random_moments_is_completed_by_the_next(
    processes, ground, server, tally
):
    order, _, check = ground
    start(processes, order, server).join(60)  # pays for the imports
    draw = random.Random(20261121)
    completed = 0
    for number in range(TRIES):
        order = replace(order, store=order.store.with_name(f"results{completed}"))
        before = stored(order)
        tally.kills += kill_at(draw.uniform(0, WITHIN), start(processes, order, server))
        tally.lost += sorted(map(str, before - stored(order)))
        assert tally.lost == [], f"kill {number} lost results"
        completed += len(stored(order)) == 8
        if tally.kills == MOMENTS:
            break
    assert tally.kills == MOMENTS, "the kills came too late to mean anything"
    before = stored(order)
    outcomes = lab.collect(order, server)
    assert sum(each.status == "present" for each in outcomes) == len(before)
    assert {each.status for each in outcomes} <= {"stored", "present"}
    check()
    for path in order.store.parent.glob("results*"):
        done = replace(order, store=path)
        assert len(stored(done)) == 8
        assert all(abs(value - NEW) < 2e-6 for value in lab.values(done).values())
        assert Store(path).verify() == []
        assert len({each[1:] for each in runs(done)}) == len(runs(done)) == 8


@pytest.mark.slow
def test_a_repetition_killed_at_random_moments_leaves_every_value(processes, ground, server, tally):
    order, _, check = ground
    lab.collect(order, server)
    draw = random.Random(7)
    for _ in range(TRIES):
        tally.kills += kill_at(draw.uniform(0, WITHIN), start(processes, order, server, redo=True))
        assert len(stored(order)) == 8
        if tally.kills == REPEATED:
            break
    assert tally.kills == REPEATED
    # Though there is nothing to measure, what was killed is undone.
    assert {each.status for each in lab.collect(order, server)} == {"present"}
    check()
    assert {each.status for each in lab.collect(replace(order, redo=True), server)} == {"stored"}
    assert len(set(runs(order))) == len(runs(order))
    check()


@pytest.mark.parametrize("wait", [0.3, 1.0, 1.7])
def test_ctrl_c_leaves_the_phones_as_they_were_at_once(processes, ground, server, wait):
    order, phones, check = ground
    lab.collect(order, server)
    process = start(processes, order, server, redo=True)
    time.sleep(wait)
    if process.is_alive():
        os.kill(process.pid, signal.SIGINT)
    process.join(30)
    assert process.exitcode in (0, 130)
    assert len(lab.values(order)) == 8
    check()
    assert all(phone.root.path("/data/local/tmp/mobileopt/bin").exists() for phone in phones)
