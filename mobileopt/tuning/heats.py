"""Measures what a race asks for: the one part of a search that starts processes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mobileopt import measure
from mobileopt.errors import ProcessDiedError
from mobileopt.measure import Record, SessionPlan
from mobileopt.tuning.evidence import Batch, Heat
from mobileopt.tuning.race import Ask, Race

MEMORY = 0.7e9
"""Bytes a process with an artifact may take: torch alone is most of it."""


@dataclass(frozen=True)
class Track:
    """Where a race runs: the artifacts' folders by name, the plan of one launch, the time.

    `deadline` is on `time.monotonic`'s clock; `on_round` is called after each round of a batch
    and `on_heat` after each heat, with the race as it then is.
    """

    folders: Mapping[str, Path]
    plan: SessionPlan
    deadline: float = math.inf
    on_round: Callable[[], None] = lambda: None
    on_heat: Callable[[Race], None] = lambda race: None

    @property
    def out_of_time(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline


@dataclass
class _Heat:
    """A heat while it is being run."""

    batches: list[Batch] = field(default_factory=list[Batch])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    interrupted: bool = False


def run(race: Race, track: Track) -> Race:
    """Run a race to its end, to the deadline or to Ctrl-C, and return all that was measured."""
    while (ask := race.ask()) is not None:
        heat = _run(ask, track)
        race = race.after(Heat(ask.reference, tuple(heat.batches), heat.failed))
        if heat.interrupted:
            return race.stop("interrupted")
        if track.out_of_time and race.end is None:
            return race.stop("budget")
        track.on_heat(race)
    return race


def _run(ask: Ask, track: Track) -> _Heat:
    heat = _Heat()
    try:
        for number, names in enumerate(ask.batches):
            if track.out_of_time:
                break
            plan = replace(track.plan, launches=1, seed=_seed(track.plan.seed, ask.launch, number))
            _add(heat, [name for name in names if name not in heat.failed], plan, track)
            if heat.interrupted or ask.reference in heat.failed:
                break  # without the reference the batches cannot be compared
    except KeyboardInterrupt:
        heat.interrupted = True
    return heat


def _seed(seed: int, launch: int, batch: int) -> int:
    return hash((seed, launch, batch))  # of numbers alone, so the same in every process


def _add(heat: _Heat, names: Sequence[str], plan: SessionPlan, track: Track) -> None:
    """Measure a batch; without those whose process dies on the way."""
    folders = {name: track.folders[name] for name in names}
    while folders:
        try:
            record = measure.session(folders, plan, track.on_round, until=track.deadline)
        except ProcessDiedError as error:
            died = next(name for name, folder in folders.items() if str(folder) == error.name)
            heat.failed[died] = error.reason
            del folders[died]
            continue
        heat.batches.append(_batch(record))
        heat.interrupted = record.interrupted
        return


def _batch(record: Record) -> Batch:
    return Batch(record.wall, record.cpu, record.warmup, record.unsettled)


def together(most: int = 16) -> int:
    """How many processes may live at a time on this machine: what half its free memory holds."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return 4
    return max(2, min(most, int(free / 2 / MEMORY)))
