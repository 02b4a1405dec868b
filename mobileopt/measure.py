"""Measures the variants of one model in one interleaved session on this host.

Every variant runs in a process of its own. In each round all of them run, one after another, in
an order drawn anew, on one core: cores differ in speed where neighbours share them. The processes
are started afresh several times, on a core drawn anew, because what one launch was dealt (where
its memory lies) stays with it.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from mobileopt.runners.host import Allocations, Program, Served, Times, Worker

Item = TypeVar("Item")


@dataclass(frozen=True)
class SessionPlan:
    """How much to measure: `launches` of every process, `rounds` in each, and in a round of each
    variant at least `samples` forward passes in at least `seconds`.

    `seed` draws the order within the rounds.
    """

    launches: int = 12
    rounds: int = 2
    samples: int = 5
    seconds: float = 0.05
    seed: int = 0

    @property
    def total_rounds(self) -> int:
        """Rounds over all launches."""
        return self.launches * self.rounds


@dataclass(frozen=True)
class Record:
    """What a session measured of each artifact, by name, round by round and in step.

    `page_faults` are those of a forward pass, the mean of each round's.
    `launches` names the launch each round belongs to; `unsettled` the artifacts whose warm-up
    did not converge; `warmup` the wall seconds each spent warming up, over all launches.
    """

    wall: Mapping[str, list[tuple[float, ...]]]
    cpu: Mapping[str, list[tuple[float, ...]]]
    launches: list[int] = field(default_factory=list[int])
    unsettled: frozenset[str] = frozenset()
    interrupted: bool = False
    warmup: Mapping[str, float] = field(default_factory=dict[str, float])
    page_faults: Mapping[str, list[float]] = field(default_factory=dict[str, list[float]])

    @property
    def seconds(self) -> float:
        """The measuring time: wall seconds of all warm-up and measured forward passes."""
        measured = sum(sum(times) for rounds in self.wall.values() for times in rounds)
        return measured + sum(self.warmup.values())


def session(
    folders: Mapping[str, Served],
    plan: SessionPlan,
    on_round: Callable[[], None] = lambda: None,
    *,
    together: Sequence[Sequence[str]] = (),
    until: float = math.inf,
) -> Record:
    """Measure the artifacts in `folders`, by name, and return whole rounds only.

    A `Conditioned` or a `Program` may stand for an artifact; programs that differ in what they
    `ask` alone share a process. The names of each group in `together` run next to each other in
    every round, in an order drawn anew; without groups all names are one.

    Ctrl-C ends the session early and keeps the finished rounds; so does `until`, a time of
    `time.monotonic`, after which no round is begun. `on_round` is called after each.
    Raises ProcessDiedError when a process dies.
    """
    groups = together or [list(folders)]
    wall: dict[str, list[tuple[float, ...]]] = {name: [] for name in folders}
    cpu: dict[str, list[tuple[float, ...]]] = {name: [] for name in folders}
    faults: dict[str, list[float]] = {name: [] for name in folders}
    launches: list[int] = []
    unsettled: set[str] = set()
    warmup = dict.fromkeys(folders, 0.0)
    interrupted = False
    try:
        for launch, times in _rounds(folders, plan, groups, unsettled, warmup, until):
            for name, measured in times.items():
                wall[name].append(measured.wall)
                cpu[name].append(measured.cpu)
                faults[name].append(measured.page_faults)
            launches.append(launch)
            on_round()
    except KeyboardInterrupt:
        interrupted = True
    return Record(wall, cpu, launches, frozenset(unsettled), interrupted, warmup, faults)


def allocations(
    folders: Mapping[str, Served], on_each: Callable[[], object] = lambda: None
) -> dict[str, Allocations]:
    """What one warm forward pass of each asks the allocator for, by name, where it can be seen.

    In processes of their own: counting needs a profiler, beside which no time is measured.
    Raises as `session` does.
    """
    counted: dict[str, Allocations] = {}
    for name, what in folders.items():
        with Worker(what) as worker:
            worker.wait()
            if found := worker.allocations():
                counted[name] = found
        on_each()
    return counted


def _rounds(
    folders: Mapping[str, Served],
    plan: SessionPlan,
    groups: Sequence[Sequence[str]],
    unsettled: set[str],
    warmup: dict[str, float],
    until: float,
) -> Iterator[tuple[int, dict[str, Times]]]:
    order = random.Random(plan.seed)  # noqa: S311  not a secret, and it must be repeatable
    for launch in range(plan.launches):
        with ExitStack() as stack:
            workers = _launch(folders, stack, unsettled)
            for name, worker in workers.items():
                warmup[name] += sum(worker.warmup)
            core = order.choice(sorted(os.sched_getaffinity(0)))
            for worker in workers.values():
                worker.pin(core)
            for _ in range(plan.rounds):
                if time.monotonic() >= until:
                    return
                names = [name for group in _drawn(groups, order) for name in _drawn(group, order)]
                yield launch, {name: _sample(workers[name], folders[name], plan) for name in names}


def _drawn(items: Sequence[Item], order: random.Random) -> list[Item]:
    return order.sample(items, len(items))


def _sample(worker: Worker, what: Served, plan: SessionPlan) -> Times:
    ask = dict(what.ask) if isinstance(what, Program) else {}
    return worker.sample(plan.samples, plan.seconds, **ask)


def _launch(
    folders: Mapping[str, Served], stack: ExitStack, unsettled: set[str]
) -> dict[str, Worker]:
    started: dict[Served, Worker] = {}
    distinct = {_process(what): name for name, what in folders.items()}
    for processes in _groups(list(distinct), os.cpu_count() or 1):
        started |= {each: stack.enter_context(Worker(each)) for each in processes}
        unsettled.update(distinct[each] for each in processes if not started[each].wait())
    return {name: started[_process(what)] for name, what in folders.items()}


def _process(what: Served) -> Served:
    return replace(what, ask=()) if isinstance(what, Program) else what


def _groups(names: Sequence[Item], size: int) -> Iterator[list[Item]]:
    # Importing torch takes a core for seconds: as many at a time as there are cores.
    remaining = iter(names)
    while group := list(islice(remaining, size)):
        yield group
