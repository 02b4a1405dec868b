"""The change points of what is published, and the steps asv's own pages show.

One detector for the whole site: the Changes page, the marks in a graph, and through `steps` also
asv's lists and its Regressions page.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from asv.step_detect import detect_steps

from mobileopt.analyses import Analyses
from mobileopt.changes import SeriesChange, SeriesKey, find_together
from mobileopt.publishing.graphs import Array, Graph

Step = tuple[int, int, float, float, float]
"""asv's: first revision, one after the last, level, least value, mean distance from the level."""

# They follow from the machine, so that the same series of another machine has others.
_MACHINE_FACTS = frozenset({"machine", "os", "cpu", "arch", "ram", "num_cpu"})


@dataclass(frozen=True, eq=False)
class Detected:
    """Change points by graph path and combination; an index is a position in its revisions."""

    changes: Mapping[tuple[str, int], list[SeriesChange]]

    def of(self, graph: Graph, combination: int) -> list[SeriesChange]:
        """Those of one series, oldest first."""
        return self.changes.get((graph.path, combination), [])


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


def detect(
    where: Path, graphs: Sequence[Graph], report: Callable[[int, int], None] | None = None
) -> Detected:
    """Find the change points of all series together.

    `where` is the store's cache file; what was found the last time is kept beside it.
    """
    axis = np.unique(np.concatenate([np.empty(0, int), *(g.revisions for g in graphs)]))
    series: dict[SeriesKey, Any] = {}
    owners: dict[SeriesKey, tuple[Graph, int]] = {}
    for graph in graphs:
        for index, key in _keys(graph):
            column = graph.values[:, index]
            if has_level(column) and key not in owners:
                on_axis = np.full(len(axis), np.nan)
                on_axis[np.searchsorted(axis, graph.revisions)] = column
                series[key], owners[key] = on_axis, (graph, index)
    with Analyses(where.with_name(f"changes-{where.stem}.npz"), report) as analyses:
        found = find_together(series, analyse_all=analyses)
    changes: dict[tuple[str, int], list[SeriesChange]] = {}
    for change in found:
        graph, index = owners[change.key]
        changes.setdefault((graph.path, index), []).append(_placed(change, axis, graph))
    return Detected(changes)


def has_level(column: Array) -> bool:
    """Whether the detector takes these values: some, and all of them above 0."""
    measured = column[~np.isnan(column)]
    return bool(len(measured)) and bool((measured > 0).all())


def steps(graph: Graph, index: int, detected: Detected) -> Iterator[Step]:
    """One series between its change points."""
    column = graph.values[:, index]
    measured = np.flatnonzero(~np.isnan(column))
    if not len(measured):
        return
    if not has_level(column):
        yield from _asv_steps(graph, column)
        return
    starts = [change.point.index for change in detected.of(graph, index)]
    borders = [0, *np.searchsorted(measured, starts), len(measured)]
    for start, stop in itertools.pairwise(borders):
        rows = measured[start:stop]
        values = column[rows]
        level = float(np.median(values))
        first, last = graph.revisions[rows[0]], graph.revisions[rows[-1]]
        spread = float(np.abs(values - level).mean())
        yield int(first), int(last) + 1, level, float(values.min()), spread


def _asv_steps(graph: Graph, column: Array) -> list[Step]:
    """Values of 0 and below have no ratio, which is what our detector looks for."""
    revisions = graph.revisions.tolist()
    if len(np.unique(column[~np.isnan(column)])) == 1:
        # A noise of exactly 0 throughout; asv's detector takes half a second to say so.
        measured = np.flatnonzero(~np.isnan(column))
        value = float(column[measured[0]])
        return [(revisions[measured[0]], revisions[measured[-1]] + 1, value, value, 0.0)]
    return [
        (revisions[left], revisions[right - 1] + 1, value, least, error)
        for left, right, value, least, error in detect_steps(column.tolist())
    ]


def _keys(graph: Graph) -> Iterator[tuple[int, SeriesKey]]:
    """The same key on two machines is the same thing measured."""
    settings = {name: graph.params[name] for name in graph.params if name not in _MACHINE_FACTS}
    name = f"{graph.benchmark_name} {json.dumps(settings, sort_keys=True, default=str)}"
    for index in range(graph.values.shape[1]):
        yield index, SeriesKey(str(graph.params.get("machine")), f"{name} {index}")


def _placed(change: SeriesChange, axis: Array, graph: Graph) -> SeriesChange:
    """With the index counted in the graph's own revisions."""
    point = change.point
    index = int(np.searchsorted(graph.revisions, axis[point.index]))
    own = type(point)(index, point.before, point.after, point.confidence)
    return SeriesChange(change.key, own, change.cause)
