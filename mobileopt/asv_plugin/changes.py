"""The data of the Changes page: every change of the store, with the results around each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mobileopt.publishing.detection import Placed
from mobileopt.publishing.graphs import Graph, plain
from mobileopt.publishing.publication import Publication

AROUND = 20
"""Results on each side of a change in its little graph."""


def collect(publication: Publication) -> dict[str, Any]:
    """Everything the page draws: the changes, newest first, and how much was looked at.

    Levels are in the metric's unit; what is infinite is null.
    """
    detected = publication.detected
    shown = [each for each in detected.placed if each.graph.params["branch"] == publication.branch]
    return {
        "changes": [_drawn(publication, each) for each in shown],
        "series": detected.series,
        "machines": detected.machines,
    }


def told(placed: Placed) -> dict[str, Any]:
    """A change as the pages show it, beside what was measured."""
    change = placed.change
    return {
        "row": placed.row,
        "revision": int(placed.graph.revisions[placed.row]),
        "state": change.state,
        "direction": change.direction,
        "before": change.before,
        "after": change.after,
        "size": _finite(change.size),
        "low": _finite(change.low - 1),
        "high": _finite(change.high - 1),
        "confidence": change.confidence,
        "cause": change.cause,
        "commits": list(change.span),
        "date": int(change.date.timestamp() * 1000),
        "title": change.commit.subject if change.commit else None,
        "author": change.commit.author if change.commit else None,
        "endedBy": change.ended_by,
        "reason": change.accepted.reason if change.accepted else None,
    }


def _drawn(publication: Publication, placed: Placed) -> dict[str, Any]:
    change, graph = placed.change, placed.graph
    variant = change.origin.variant
    return told(placed) | {
        "metric": change.metric.name,
        "unit": change.metric.unit,
        "subject": change.subject,
        "model": variant.model if variant else None,
        "recipe": str(variant.recipe) if variant else None,
        "machine": change.machine,
        "params": graph.params,
        "choice": choice(publication, graph, placed.combination),
        "around": _around(graph, placed),
    }


def choice(publication: Publication, graph: Graph, combination: int) -> dict[str, str]:
    """The parameters of one series of a graph, as asv writes them."""
    benchmark = publication.benchmarks[graph.benchmark_name]
    chosen: dict[str, str] = {}
    axes = list(zip(benchmark["param_names"], benchmark["params"], strict=True))
    for name, values in reversed(axes):
        combination, index = divmod(combination, len(values))
        chosen[name] = values[index]
    return dict(reversed(chosen.items()))


def _around(graph: Graph, placed: Placed) -> dict[str, Any]:
    column = graph.values[:, placed.combination]
    measured = np.flatnonzero(np.isfinite(column))
    at = int(np.searchsorted(measured, placed.row))
    rows = measured[max(0, at - AROUND) : at + AROUND]
    return {"values": plain(column[rows]), "at": at - max(0, at - AROUND)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
