"""Measures the variants of one model in one interleaved session on this host.

Every variant runs in a process of its own. In each round all of them run, one after another, in
an order drawn anew, on one core: cores differ in speed where neighbours share them. The processes
are started afresh several times, on a core drawn anew, because what one launch was dealt (where
its memory lies) stays with it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mobileopt.runners.host import Allocations, Conditioned, Times, Worker


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
    did not converge.
    """

    wall: Mapping[str, list[tuple[float, ...]]]
    cpu: Mapping[str, list[tuple[float, ...]]]
    launches: list[int] = field(default_factory=list[int])
    unsettled: frozenset[str] = frozenset()
    interrupted: bool = False
    page_faults: Mapping[str, list[float]] = field(default_factory=dict[str, list[float]])


def session(
    folders: Mapping[str, Path | Conditioned],
    plan: SessionPlan,
    on_round: Callable[[], None] = lambda: None,
) -> Record:
    """Measure the artifacts in `folders`, by name, and return whole rounds only.

    Ctrl-C ends the session early and keeps the finished rounds. `on_round` is called after each.
    Raises MeasurementError when a process dies.
    """
    wall: dict[str, list[tuple[float, ...]]] = {name: [] for name in folders}
    cpu: dict[str, list[tuple[float, ...]]] = {name: [] for name in folders}
    faults: dict[str, list[float]] = {name: [] for name in folders}
    launches: list[int] = []
    unsettled: set[str] = set()
    interrupted = False
    try:
        for launch, times in _rounds(folders, plan, unsettled):
            for name, measured in times.items():
                wall[name].append(measured.wall)
                cpu[name].append(measured.cpu)
                faults[name].append(measured.page_faults)
            launches.append(launch)
            on_round()
    except KeyboardInterrupt:
        interrupted = True
    return Record(wall, cpu, launches, frozenset(unsettled), interrupted, faults)


def allocations(
    folders: Mapping[str, Path | Conditioned], on_each: Callable[[], object] = lambda: None
) -> dict[str, Allocations]:
    """What one warm forward pass of each asks the allocator for, by name.

    In processes of their own: counting needs a profiler, beside which no time is measured.
    Raises MeasurementError when a process dies.
    """
    counted: dict[str, Allocations] = {}
    for name, what in folders.items():
        with Worker(what) as worker:
            worker.wait()
            counted[name] = worker.allocations()
        on_each()
    return counted


def _rounds(
    folders: Mapping[str, Path | Conditioned], plan: SessionPlan, unsettled: set[str]
) -> Iterator[tuple[int, dict[str, Times]]]:
    order = random.Random(plan.seed)  # noqa: S311  not a secret, and it must be repeatable
    for launch in range(plan.launches):
        with ExitStack() as stack:
            workers = _launch(folders, stack, unsettled)
            core = order.choice(sorted(os.sched_getaffinity(0)))
            for worker in workers.values():
                worker.pin(core)
            for _ in range(plan.rounds):
                names = order.sample(list(workers), len(workers))
                yield launch, {name: _sample(workers[name], plan) for name in names}


def _sample(worker: Worker, plan: SessionPlan) -> Times:
    return worker.sample(plan.samples, plan.seconds)


def _launch(
    folders: Mapping[str, Path | Conditioned], stack: ExitStack, unsettled: set[str]
) -> dict[str, Worker]:
    workers: dict[str, Worker] = {}
    for names in _groups(list(folders), os.cpu_count() or 1):
        workers |= {name: stack.enter_context(Worker(folders[name])) for name in names}
        unsettled.update(name for name in names if not workers[name].wait())
    return workers


def _groups(names: Sequence[str], size: int) -> Iterator[list[str]]:
    # Importing torch takes a core for seconds: as many at a time as there are cores.
    remaining = iter(names)
    while group := list(islice(remaining, size)):
        yield group
