"""One (variant, device, metric) in commit order, made only of what may be compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mobileopt.errors import InputError
from mobileopt.run import Metric
from mobileopt.variant import Variant


@dataclass(frozen=True)
class Origin:
    """All that must be the same for two values to be comparable.

    `device` is the machine's name, `version` the benchmark's, `environment` what it was run in
    (interpreter and requirements), and `settings` the parameters that are not the variant's,
    such as the number of threads. `variant` is None for a benchmark that has none.
    """

    variant: Variant | None
    device: str
    metric: Metric
    version: str
    environment: str = ""
    settings: tuple[tuple[str, str], ...] = ()

    def differs_from(self, other: Origin) -> tuple[str, ...]:
        """The fields in which two origins differ, in the order they are declared."""
        fields = self.__dataclass_fields__
        return tuple(name for name in fields if getattr(self, name) != getattr(other, name))


@dataclass(frozen=True)
class Point:
    """The value of one commit, in the metric's unit: the median of its `n` samples.

    `interval` is the 99 % confidence interval of the median within the run; it knows nothing
    of the spread between runs. Raises InputError for a value that is not finite.
    """

    commit: str
    date: datetime
    value: float
    interval: tuple[float, float] = (-math.inf, math.inf)
    n: int = 0
    samples: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise InputError(f"the value at commit {self.commit[:12]} is {self.value!r}")


@dataclass(frozen=True)
class Series:
    """Points of one origin, oldest commit first. Raises InputError for a commit twice."""

    origin: Origin
    points: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for point in self.points:
            if point.commit in seen:
                raise InputError(f"commit {point.commit[:12]} stands twice in one series")
            seen.add(point.commit)

    @classmethod
    def of(cls, found: Iterable[tuple[Origin, Point]], order: Sequence[str] = ()) -> Series:
        """Put points into commit order.

        `order` lists commits oldest first, as `git rev-list --reverse` does; a commit it does
        not list is left out. Without it the commits' dates decide, which a rebase can reverse.
        Raises InputError if there are none, or if two of them are not comparable, naming why.
        """
        pairs = list(found)
        if not pairs:
            raise InputError("a series needs at least one point")
        origin = pairs[0][0]
        for other, point in pairs:
            differing = origin.differs_from(other)
            if differing:
                name = differing[0]
                raise InputError(
                    f"commit {point.commit[:12]} cannot be compared with the rest: its {name} is "
                    f"{getattr(other, name)}, theirs is {getattr(origin, name)}"
                )
        return cls(origin, _ordered([point for _, point in pairs], order))

    @property
    def values(self) -> tuple[float, ...]:
        """The values, oldest first, in the metric's unit."""
        return tuple(point.value for point in self.points)

    @property
    def commits(self) -> tuple[str, ...]:
        """The commits, oldest first."""
        return tuple(point.commit for point in self.points)

    def since(self, commit: str) -> Series:
        """The points from a commit on; raises InputError if it is not in the series."""
        if commit not in self.commits:
            raise InputError(f"commit {commit[:12]} has no value in this series")
        return replace(self, points=self.points[self.commits.index(commit) :])

    def __len__(self) -> int:
        return len(self.points)


def _ordered(points: list[Point], order: Sequence[str]) -> tuple[Point, ...]:
    if not order:
        return tuple(sorted(points, key=lambda point: (point.date, point.commit)))
    position = {commit: index for index, commit in enumerate(order)}
    known = [point for point in points if point.commit in position]
    return tuple(sorted(known, key=lambda point: position[point.commit]))
