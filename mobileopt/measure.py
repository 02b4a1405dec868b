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

from mobileopt.runners.host import Times, Worker


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

    `launches` names the launch each round belongs to; `unsettled` the artifacts whose warm-up
    did not converge; `warmup` the wall seconds each spent warming up, over all launches.
    """

    wall: Mapping[str, list[tuple[float, ...]]]
    cpu: Mapping[str, list[tuple[float, ...]]]
    launches: list[int] = field(default_factory=list[int])
    unsettled: frozenset[str] = frozenset()
    interrupted: bool = False
    warmup: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def seconds(self) -> float:
        """The measuring time: wall seconds of all warm-up and measured forward passes."""
        measured = sum(sum(times) for rounds in self.wall.values() for times in rounds)
        return measured + sum(self.warmup.values())


def session(
    folders: Mapping[str, Path],
    plan: SessionPlan,
    on_round: Callable[[], None] = lambda: None,
) -> Record:
    """Measure the artifacts in `folders`, by name, and return whole rounds only.

    Ctrl-C ends the session early and keeps the finished rounds. `on_round` is called after each.
    Raises ProcessDiedError when a process dies.
    """
    wall: dict[str, list[tuple[float, ...]]] = {name: [] for name in folders}
    cpu: dict[str, list[tuple[float, ...]]] = {name: [] for name in folders}
    launches: list[int] = []
    unsettled: set[str] = set()
    warmup = dict.fromkeys(folders, 0.0)
    interrupted = False
    try:
        for launch, times in _rounds(folders, plan, unsettled, warmup):
            for name, measured in times.items():
                wall[name].append(measured.wall)
                cpu[name].append(measured.cpu)
            launches.append(launch)
            on_round()
    except KeyboardInterrupt:
        interrupted = True
    return Record(wall, cpu, launches, frozenset(unsettled), interrupted, warmup)


def _rounds(
    folders: Mapping[str, Path],
    plan: SessionPlan,
    unsettled: set[str],
    warmup: dict[str, float],
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
                names = order.sample(list(workers), len(workers))
                yield launch, {name: _sample(workers[name], plan) for name in names}


def _sample(worker: Worker, plan: SessionPlan) -> Times:
    return worker.sample(plan.samples, plan.seconds)


def _launch(
    folders: Mapping[str, Path], stack: ExitStack, unsettled: set[str]
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
