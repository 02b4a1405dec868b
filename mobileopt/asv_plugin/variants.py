"""The data of the Variants page: each recipe of a model beside the untouched model.

Values come from the very graphs asv publishes, so a figure on the page is the last point of the
history it links to. Intervals come from the samples of that commit, as asv keeps them with the
result: the 99 % confidence interval of the median. The interval of a ratio goes from the least
favourable to the most favourable ends of the two; it holds for both at once in at least 98 %
(Bonferroni), assumes no distribution and needs no random numbers.
"""

from __future__ import annotations

import itertools
import math
from ast import literal_eval
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from asv.console import log

from mobileopt.errors import InputError
from mobileopt.publishing.graphs import Graph
from mobileopt.publishing.publication import Publication
from mobileopt.variant import BASELINE, SLOTS, Recipe

METRICS = {
    "latency": "latency.time_forward",
    "size": "size.track_artifact",
    "noise": "fidelity.track_noise",
    "disagreement": "fidelity.track_top1_disagreement",
    "memory": "memory.peakmem_forward",
}
"""The benchmark behind each metric of the page."""

_AXES = ["model", "recipe"]
# What asv always records of a machine; it follows from the machine's name.
_MACHINE_FACTS = frozenset({"machine", "os", "cpu", "arch", "ram", "num_cpu", "branch"})

Cell = dict[str, Any]
Cells = dict[tuple[str, str], dict[str, Cell]]
Key = tuple[tuple[str, Any], ...]


def collect(publication: Publication) -> dict[str, Any]:
    """Everything the page draws: environments, their models, and a row for each recipe.

    A row's cells hold value (seconds, bytes or a fraction), commit, revision and, for latency,
    the ends `low` and `high` of its interval. What was never measured has no cell.
    """
    environments: dict[Key, Cells] = {}
    for metric, graph in _graphs(publication):
        cells = environments.setdefault(tuple(sorted(graph.params.items())), {})
        variants = itertools.product(*publication.benchmarks[graph.benchmark_name]["params"])
        for position, variant in enumerate(variants):
            with_interval = metric == "latency"
            cell = _cell(graph, position, publication.hashes, with_interval=with_interval)
            if cell:
                cells.setdefault(variant, {})[metric] = cell
    return {
        "baseline": str(BASELINE),
        "slots": SLOTS,
        "benchmarks": METRICS,
        "environments": _environments(environments),
    }


def _graphs(publication: Publication) -> Iterator[tuple[str, Graph]]:
    for metric, name in METRICS.items():
        benchmark = publication.benchmarks.get(name)
        if benchmark is None:
            continue
        if benchmark["param_names"] != _AXES:
            log.warning(f"{name} is left out of the Variants page: its axes are not {_AXES}")
            continue
        for graph in publication.group(name):
            if graph.params["branch"] == publication.branch:
                yield metric, graph


def _cell(
    graph: Graph, position: int, commits: Mapping[int, str], *, with_interval: bool
) -> Cell | None:
    """The newest figure of one combination."""
    measured = np.flatnonzero(np.isfinite(graph.values[:, position]))
    if not len(measured):
        return None
    row = measured[-1]
    revision = int(graph.revisions[row])
    cell = {
        "value": float(graph.values[row, position]),
        "commit": commits[revision],
        "revision": revision,
    }
    low, high = (float(graph.columns[name][row, position]) for name in ("ci_low", "ci_high"))
    if with_interval and math.isfinite(low) and math.isfinite(high):
        cell |= {"low": low, "high": high}
    return cell


def _environments(environments: Mapping[Key, Cells]) -> list[dict[str, Any]]:
    all_params = [dict(key) for key in environments]
    drawn = [
        {"label": _label(params, all_params), "params": params, "models": _models(cells)}
        for params, cells in zip(all_params, environments.values(), strict=True)
    ]
    return sorted((each for each in drawn if each["models"]), key=_newest_first)


def _newest_first(environment: Mapping[str, Any]) -> tuple[int, str]:
    rows = [row for model in environment["models"] for row in model["rows"]]
    return -max(cell["revision"] for row in rows for cell in row["cells"].values()), str(
        environment["label"]
    )


def _label(params: Mapping[str, Any], all_params: list[dict[str, Any]]) -> str:
    """The machine's name, and what tells its environments apart where it has several."""
    same = [each for each in all_params if each["machine"] == params["machine"]]
    differing = [
        f"{name.removeprefix('env-')} {value}"
        for name, value in sorted(params.items())
        if name not in _MACHINE_FACTS and any(each[name] != value for each in same)
    ]
    return ", ".join([str(params["machine"]), *differing])


def _models(cells: Cells) -> list[dict[str, Any]]:
    models: dict[str, list[dict[str, Any]]] = {}
    for (model, recipe), row in cells.items():
        models.setdefault(model, []).append(_row(recipe, row))
    return [_with_ratios(model, rows) for model, rows in models.items()]


def _row(parameter: str, cells: Mapping[str, Cell]) -> dict[str, Any]:
    name = _text(parameter)
    try:
        words = list(Recipe.parse(name).words)
    except InputError:
        words = None
    return {"recipe": name, "parameter": parameter, "words": words, "cells": cells}


def _with_ratios(parameter: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    base = _base(rows)
    for row in rows:
        ratio = _ratio(base["cells"]["latency"] if base else None, row["cells"].get("latency"))
        if ratio:
            row["ratio"] = ratio
    name = base["recipe"] if base else str(BASELINE)
    return {"model": _text(parameter), "parameter": parameter, "baseline": name, "rows": rows}


def _base(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The row of the baseline, else of the measured recipe nearest to it: no phone runs eager."""
    timed = [row for row in rows if row["words"] and row["cells"].get("latency")]

    def distance(row: dict[str, Any]) -> int:
        return sum(one != other for one, other in zip(row["words"], BASELINE.words, strict=True))

    return min(timed, key=distance, default=None)


def _ratio(baseline: Cell | None, cell: Cell | None) -> dict[str, float] | None:
    """How many times faster than the baseline, with the ends of its interval."""
    if not baseline or not cell or min(baseline["value"], cell["value"]) <= 0:
        return None
    ratio = {"value": baseline["value"] / cell["value"]}
    if cell is not baseline and "low" in baseline and cell.get("low", 0) > 0:
        # asv's interval of a few samples may reach below zero, a speed cannot.
        ratio["low"] = max(0.0, baseline["low"] / cell["high"])
        ratio["high"] = baseline["high"] / cell["low"]
    return ratio


def _text(parameter: str) -> str:
    """The text of a parameter, which asv keeps as Python's repr of it."""
    try:
        value = literal_eval(parameter)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return parameter
    return value if isinstance(value, str) else parameter
