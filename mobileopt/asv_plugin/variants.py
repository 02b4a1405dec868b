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
from pathlib import Path
from typing import Any, TypeGuard

from asv.console import log
from asv.results import Results, iter_results_paths
from asv.util import UserError, is_na, mean_na

from mobileopt.asv_plugin.page import Published
from mobileopt.errors import InputError
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
Key = frozenset[tuple[str, Any]]


def collect(published: Published) -> dict[str, Any]:
    """Everything the page draws: environments, their models, and a row for each recipe.

    A row's cells hold value (seconds, bytes or a fraction), commit, revision and, for latency,
    the ends `low` and `high` of its interval. What was never measured has no cell.
    """
    environments: dict[Key, Cells] = {}
    for metric, graph in _graphs(published):
        cells = environments.setdefault(frozenset(graph.params.items()), {})
        for variant, cell in _latest(published, graph):
            cells.setdefault(variant, {})[metric] = cell
    _add_intervals(published, environments)
    return {
        "baseline": str(BASELINE),
        "slots": SLOTS,
        "benchmarks": METRICS,
        "environments": _environments(environments),
    }


def _graphs(published: Published) -> Iterator[tuple[str, Any]]:
    branch = published.repo.get_branch_name(published.conf.branches[0])
    for metric, name in METRICS.items():
        benchmark = published.benchmarks.get(name)
        if benchmark is None:
            continue
        if benchmark["param_names"] != _AXES:
            log.warning(f"{name} is left out of the Variants page: its axes are not {_AXES}")
            continue
        for graph in published.graphs.get_graph_group(name):
            if graph.params["branch"] == branch:
                yield metric, graph


def _latest(published: Published, graph: Any) -> Iterator[tuple[tuple[str, str], Cell]]:
    commits = {revision: commit for commit, revision in published.revisions.items()}
    newest_first = sorted(graph.data_points.items(), reverse=True)
    for position, variant in enumerate(_product(published, graph.benchmark_name)):
        for revision, rows in newest_first:
            if any(_is_number(row[position]) for row in rows):
                value = mean_na(row[position] for row in rows)
                yield variant, {"value": value, "commit": commits[revision], "revision": revision}
                break


def _product(published: Published, name: str) -> list[tuple[str, str]]:
    return list(itertools.product(*published.benchmarks[name]["params"]))


def _is_number(value: Any) -> TypeGuard[float]:
    # A failed benchmark is None, a skipped one NaN.
    return isinstance(value, int | float) and not is_na(value) and math.isfinite(value)


def _add_intervals(published: Published, environments: Mapping[Key, Cells]) -> None:
    name = METRICS["latency"]
    for results in _results(published, _commits(environments)):
        if name in results.get_result_keys(published.benchmarks):
            stats = results.get_result_stats(name, published.benchmarks[name]["params"])
            found = dict(zip(_product(published, name), stats, strict=True))
            for cells in (cells for key, cells in environments.items() if _is_of(results, key)):
                _widen_all(cells, results.commit_hash, found)


def _widen_all(
    cells: Cells, commit: str, stats: Mapping[tuple[str, str], Mapping[str, Any] | None]
) -> None:
    for variant, row in cells.items():
        cell = row.get("latency")
        if cell and cell["commit"] == commit:
            _widen(cell, stats.get(variant) or {})


def _commits(environments: Mapping[Key, Cells]) -> set[str]:
    rows = (row for cells in environments.values() for row in cells.values())
    return {row["latency"]["commit"] for row in rows if "latency" in row}


def _results(published: Published, commits: set[str]) -> Iterator[Results]:
    # asv begins a file's name with the commit's first eight digits; a store of years holds
    # thousands of files, of which the newest few matter here.
    begins = tuple(commit[:8] for commit in commits)
    for folder, file, machine in iter_results_paths(published.conf.results_dir):
        if file.startswith(begins):
            try:
                yield Results.load(str(Path(folder, file)), machine_name=machine)
            except UserError as error:
                log.warning(str(error))


def _is_of(results: Results, key: Key) -> bool:
    # As asv's publish names a graph: null is '', and what another result has on top is None.
    has = {name: "" if value is None else value for name, value in results.params.items()}
    has |= {f"env-{name}": value for name, value in results.env_vars.items()}
    return all(has.get(name) == value for name, value in key if name != "branch")


def _widen(cell: Cell, stats: Mapping[str, Any]) -> None:
    low, high = stats.get("ci_99_a"), stats.get("ci_99_b")
    if _is_number(low) and _is_number(high):
        cell["low"] = min(low, cell.get("low", low))
        cell["high"] = max(high, cell.get("high", high))


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
    latencies = {row["recipe"]: row["cells"].get("latency") for row in rows}
    baseline = latencies.get(str(BASELINE))
    for row in rows:
        ratio = _ratio(baseline, row["cells"].get("latency"))
        if ratio:
            row["ratio"] = ratio
    return {"model": _text(parameter), "parameter": parameter, "rows": rows}


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
