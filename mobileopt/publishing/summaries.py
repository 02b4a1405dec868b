"""The little graphs of asv's grid: one line a benchmark, the geometric mean of all its series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from asv.graph import Graph as AsvGraph
from asv.graph import resample_data

from mobileopt.publishing.graphs import Array, Graph

_GAP = 0.1  # of a series' results; asv fills shorter gaps with a straight line


def summary(graphs: Sequence[Graph]) -> list[tuple[int, Any]]:
    """The points of a benchmark's summary, as asv draws it: revision and value."""
    spans = [graph.revisions[graph.span] for graph in graphs]
    axis = np.unique(np.concatenate(spans))
    total, product = np.zeros(len(axis)), np.ones(len(axis))
    present = np.zeros(len(axis), bool)
    columns = [_on_axis(graph, column, axis) for graph in graphs for column in graph.values.T]
    filled = [_filled(column) for column in columns]
    with np.errstate(divide="ignore"):
        exponent = 1 / np.sum([np.isfinite(column) for column in filled], axis=0)
    for column, whole in zip(columns, filled, strict=True):
        has = np.isfinite(whole)
        product[has] *= np.abs(whole[has]) ** exponent[has]
        total[has] += whole[has]
        present |= np.isfinite(column)
    mean = np.where(present, np.where(total >= 0, product, -product), np.nan)
    points = [
        (int(x), None if math.isnan(y) else y) for x, y in zip(axis, mean.tolist(), strict=True)
    ]
    drawn = AsvGraph("summary", {})
    for x, y in resample_data(points) if points else []:
        drawn.add_data_point(x, y)
    return [(x, y) for x, y, _ in drawn.get_data()]


def _on_axis(graph: Graph, column: Array, axis: Array) -> Array:
    found = np.full(len(axis), np.nan)
    found[np.searchsorted(axis, graph.revisions[graph.span])] = column[graph.span]
    return found


def _filled(column: Array) -> Array:
    """With its short gaps bridged; a gap counts in commits with a result of any series."""
    known = np.flatnonzero(np.isfinite(column))
    gaps = np.diff(known) - 1
    most = math.ceil(_GAP * len(known))
    bridged = (gaps > 0) & (gaps <= most)
    if not bridged.any():
        return column
    inside = np.zeros(len(column), bool)
    for start, stop in zip(known[:-1][bridged], known[1:][bridged], strict=True):
        inside[start + 1 : stop] = True
    filled = column.copy()
    filled[inside] = np.interp(np.flatnonzero(inside), known, column[known])
    return filled
