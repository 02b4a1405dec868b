"""The changes of what is published, and the steps asv's own pages show.

`mobileopt.history` judges them, as it does for the command line: what a graph holds goes there as
lines on the commits of a branch, and comes back as changes at places in the graphs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np

from mobileopt.accepted import Accepted
from mobileopt.analyses import Analyses
from mobileopt.history import Change, Lines, judge
from mobileopt.publishing.graphs import Array, Graph
from mobileopt.run import Metric
from mobileopt.series import Origin
from mobileopt.store.entry import natural
from mobileopt.variant import variant_of

Step = tuple[int, int, float, float, float]
"""asv's: first revision, one after the last, level, least value, mean distance from the level."""


@dataclass(frozen=True)
class Placed:
    """A change, and where it is drawn: its series in a graph and the first row at the new level."""

    change: Change
    graph: Graph
    combination: int
    row: int


@dataclass(frozen=True, eq=False)
class Detected:
    """Everything found in a store, newest first, and how much was looked at."""

    placed: Sequence[Placed]
    series: int
    machines: int

    def of(self, graph: Graph, combination: int) -> list[Placed]:
        """Those of one series, oldest first."""
        found = self._by_series.get((graph.path, combination), [])
        return sorted(found, key=lambda each: each.row)

    @cached_property
    def _by_series(self) -> dict[tuple[str, int], list[Placed]]:
        found: dict[tuple[str, int], list[Placed]] = {}
        for each in self.placed:
            found.setdefault((each.graph.path, each.combination), []).append(each)
        return found


@dataclass(frozen=True, eq=False)
class SteppedGraph:
    """A graph as asv's publishers of lists and regressions take it."""

    graph: Graph
    detected: Detected

    @property
    def params(self) -> Mapping[str, Any]:
        """What asv names the graph by."""
        return self.graph.params

    @property
    def path(self) -> str:
        """Where the graph lies below the site."""
        return self.graph.path

    def get_steps(self) -> list[Any]:
        """The steps of the only series, or of each combination."""
        return self._steps[0] if self.graph.is_scalar else self._steps

    @cached_property
    def _steps(self) -> list[list[Step]]:
        count = self.graph.values.shape[1]
        return [list(steps(self.graph, index, self.detected)) for index in range(count)]


@dataclass(frozen=True)
class Branch:
    """A branch's graphs and its commits, oldest first; `commits` by revision, `dates` in ms."""

    graphs: Sequence[Graph]
    every: tuple[str, ...]
    commits: Mapping[int, str]
    dates: Mapping[str, int]


def detect(
    where: Path,
    branches: Sequence[Branch],
    benchmarks: Mapping[str, Any],
    accepted: Sequence[Accepted] = (),
    repository: Path | None = None,
    report: Callable[[int, int], None] | None = None,
    pool: Pool | None = None,
) -> Detected:
    """Find the changes of every branch; `where` keeps the analyses for the next time."""
    placed: list[Placed] = []
    machines: set[str] = set()
    series = 0
    with Analyses(where, report, pool) as analyses:
        for branch in branches:
            parts = _parts(branch.graphs, benchmarks)
            lines = _lines(branch, parts)
            found = judge(lines, repository=repository, accepted=accepted, analyse_all=analyses)
            placed += _placed(found, parts, {c: r for r, c in branch.commits.items()})
            series += len(parts)
            machines |= {origin.device for origin in parts}
    return Detected(placed, series, len(machines))


def steps(graph: Graph, index: int, detected: Detected) -> Iterator[Step]:
    """One series between its changes."""
    column = graph.values[:, index]
    measured = np.flatnonzero(np.isfinite(column))
    starts = np.searchsorted(measured, [each.row for each in detected.of(graph, index)])
    for start, stop in itertools.pairwise([0, *starts, len(measured)]):
        rows = measured[start:stop]
        if not len(rows):
            continue  # its series began in another graph, under another version of the system
        values = column[rows]
        level = float(np.median(values))
        first, last = graph.revisions[rows[0]], graph.revisions[rows[-1]]
        spread = float(np.abs(values - level).mean())
        yield int(first), int(last) + 1, level, float(values.min()), spread


Parts = Mapping[Origin, Sequence[tuple[Graph, int]]]
"""The columns of graphs a series is made of: asv begins a new graph with each version of an OS,
which is a thing to be found and not one to be hidden."""


def _parts(graphs: Sequence[Graph], benchmarks: Mapping[str, Any]) -> Parts:
    parts: dict[Origin, list[tuple[Graph, int]]] = {}
    for graph in graphs:
        benchmark = benchmarks[graph.benchmark_name]
        for index, combination in enumerate(itertools.product(*benchmark["params"])):
            if np.isfinite(graph.values[:, index]).any():
                origin = _origin(graph, benchmark, combination)
                parts.setdefault(origin, []).append((graph, index))
    return parts


def _origin(graph: Graph, benchmark: Mapping[str, Any], combination: Sequence[str]) -> Origin:
    settings = {
        name: str(natural(value))
        for name, value in zip(benchmark["param_names"], combination, strict=True)
    }
    variant, rest = variant_of(settings)
    metric = Metric(graph.benchmark_name, str(benchmark.get("unit", "")))
    version, machine = str(benchmark.get("version")), str(graph.params["machine"])
    rest = tuple(sorted(rest.items()))
    return Origin(variant, machine, metric, version, graph.environment, rest)


def _lines(branch: Branch, parts: Parts) -> Lines:
    known = {commit: revision for revision, commit in branch.commits.items()}
    axis = tuple(commit for commit in branch.every if commit in known)
    place = {known[commit]: at for at, commit in enumerate(axis)}
    places = {
        graph.path: np.array([place.get(each, -1) for each in graph.revisions.tolist()])
        for graph in branch.graphs
    }
    values: dict[Origin, Array] = {}
    for origin, columns in parts.items():
        line = values[origin] = np.full(len(axis), np.nan)
        for graph, index in columns:
            column, at = graph.values[:, index], places[graph.path]
            has = np.isfinite(column) & (at >= 0)
            line[at[has]] = column[has]
    dates = {commit: datetime.fromtimestamp(branch.dates[commit] / 1000, UTC) for commit in axis}
    return Lines(values, axis, dates, branch.every)


def _placed(
    found: Sequence[Change], parts: Parts, revisions: Mapping[str, int]
) -> Iterator[Placed]:
    for change in found:
        revision = revisions[change.first_after]
        for graph, index in parts[change.origin]:
            row = int(np.searchsorted(graph.revisions, revision))
            if row < len(graph.revisions) and graph.revisions[row] == revision:
                yield Placed(change, graph, index, row)
                break
