"""A change of a series, and series on the way from the store to the detector."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from mobileopt.accepted import Accepted
from mobileopt.changes import Cause, SeriesKey
from mobileopt.commits import Commit
from mobileopt.run import Metric
from mobileopt.series import Origin

Floats = npt.NDArray[np.float64]
State = Literal["open", "fixed", "accepted", "kept", "lost", "past"]
Direction = Literal["worse", "better"]

WORSE_STATES: tuple[State, ...] = ("open", "accepted", "fixed", "past")
BETTER_STATES: tuple[State, ...] = ("kept", "lost", "past")


@dataclass(frozen=True)
class Change:
    """The level of one series moved, and where it is today.

    `origin` says what was measured where. The change came with one of `span`: the commits after
    `last_before`, the last one measured at the old level, up to `first_after`, the first one at
    the new level, oldest first (only the latter where the order of the commits is not known).

    `before` and `after` are the levels in the metric's unit, `low` and `high` the 95 % interval
    of their ratio, `confidence` the posterior probability of a jump within two results of
    `first_after`. `direction` is ``worse`` for more of anything: all metrics of the store are
    times, sizes and errors.

    `state` of a worsening: ``open`` while its level holds, ``fixed`` once a later change took
    back most of it, ``accepted`` while an entry of the accepted file covers it, ``past`` when
    the series ended because another version of its benchmark, or another environment, took its
    place. An improvement is ``kept``, ``lost`` or ``past``. `ended_by` is the commit that fixed
    or lost it.

    `cause` suspects the ``commit`` or the ``machine``, see `mobileopt.changes.SeriesChange`.
    `commit` is what git knows of `first_after`, if anything.
    """

    origin: Origin
    last_before: str
    first_after: str
    span: tuple[str, ...]
    date: datetime
    before: float
    after: float
    low: float
    high: float
    confidence: float
    cause: Cause
    state: State
    ended_by: str | None = None
    accepted: Accepted | None = None
    commit: Commit | None = None

    @property
    def machine(self) -> str:
        """The machine it was measured on."""
        return self.origin.device

    @property
    def metric(self) -> Metric:
        """What was measured: its name is the benchmark's."""
        return self.origin.metric

    @property
    def subject(self) -> str:
        """What was measured, by name: see `subject`."""
        return subject(self.origin)

    @property
    def ratio(self) -> float:
        """`after / before`; infinite where there was nothing before."""
        return self.after / self.before if self.before else math.inf

    @property
    def size(self) -> float:
        """The relative change: 0.1 is ten percent more, -0.1 ten percent less."""
        return self.ratio - 1

    @property
    def direction(self) -> Direction:
        """Whether it is for the worse."""
        return "worse" if self.after > self.before else "better"

    @property
    def identity(self) -> str:
        """A name that stays the same however often the store is read: a URN for a feed."""
        parts = (self.origin.version, self.origin.environment, self.first_after)
        name = "\n".join((self.machine, self.metric.name, self.subject, *parts))
        return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"

    def sentence(self) -> str:
        """One line for a person."""
        amount = "from nothing" if math.isinf(self.ratio) else f"by {abs(self.size):.1%}"
        return (
            f"{self.metric.name} of {self.subject} on {self.machine} got {self.direction} "
            f"{amount} at {self.commit or self.first_after[:8]}: {self.state}"
        )


@dataclass(frozen=True, eq=False)
class Lines:
    """Series on one axis of commits, oldest first.

    `values` has each origin's, an array as long as `axis` with NaN where nothing was measured;
    `axis` are the commits with results, `dates` theirs, and `every` also the commits between
    them, where a repository knows any.
    """

    values: Mapping[Origin, Floats]
    axis: tuple[str, ...]
    dates: Mapping[str, datetime]
    every: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Keyed:
    """Lines as the detector takes them: by key, with a level everywhere, and which are over."""

    lines: Lines
    origins: Mapping[SeriesKey, Origin]
    values: Mapping[SeriesKey, Floats]
    past: frozenset[SeriesKey]
    places: Mapping[str, int]

    def span(self, last_before: str, first_after: str) -> tuple[str, ...]:
        """The commits after one up to another, oldest first; see `Change.span`."""
        return self.lines.every[self.places[last_before] + 1 : self.places[first_after] + 1]


def subject(origin: Origin) -> str:
    """What an origin measures, by name: ``mobilenet_v2/fx-float-nchw-mobile``.

    A benchmark without a variant is named by its parameters: ``mobilenet_v2/fx`` for the time
    of a pass. Settings beside a variant follow it: ``..., threads=4``.
    """
    if origin.variant is None:
        return "/".join(value for _, value in origin.settings) or origin.metric.name
    return ", ".join([str(origin.variant), *(f"{name}={v}" for name, v in origin.settings)])
