"""The data of the Series page: an index of the graphs, and a file for each series."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mobileopt.asv_plugin import changes
from mobileopt.publishing.doubts import Doubt
from mobileopt.publishing.graphs import Array, Graph
from mobileopt.publishing.outputs import Outputs
from mobileopt.publishing.publication import Publication

FOLDER = "mobileopt/series"
_COLUMNS = {"value": "value", "low": "ci_low", "high": "ci_high", "q25": "q_25", "q75": "q_75"}
_DIGITS = 6  # of intervals and quartiles, which are drawn and not computed with


def collect(publication: Publication) -> dict[str, Any]:
    """The graphs of the site by benchmark and settings, each with the folder of its series."""
    return {
        "graphs": [
            {
                "benchmark": graph.benchmark_name,
                "params": graph.params,
                "folder": _folder(graph),
                "measured": np.flatnonzero(np.isfinite(graph.values).any(axis=0)).tolist(),
            }
            for graph in publication.graphs
            if graph.params["branch"] == publication.branch
        ]
    }


def write(outputs: Outputs, publication: Publication) -> None:
    """A file for each series: its results, the doubts about them, and its changes."""
    doubted = _by_series(publication)
    for graph in publication.graphs:
        if graph.params["branch"] != publication.branch:
            continue
        for index in np.flatnonzero(np.isfinite(graph.values).any(axis=0)).tolist():
            found = [changes.told(each) for each in publication.detected.of(graph, index)]
            doubts = list(_doubts(graph, index, doubted.get((graph.path, index), [])))
            arrays = [graph.columns[name][:, index] for name in (*_COLUMNS.values(), "n")]
            inputs = (graph.revisions.tobytes(), *(each.tobytes() for each in arrays))
            outputs.put(
                f"{_folder(graph)}/{index}.json",
                (*inputs, json.dumps([found, doubts])),
                lambda: _file(graph, index) | {"changes": found, "doubts": doubts},  # noqa: B023
            )


def _folder(graph: Graph) -> str:
    # A digest: names of machines and of parameters make no file names here.
    return f"{FOLDER}/{hashlib.sha256(graph.path.encode()).hexdigest()[:16]}"


def _file(graph: Graph, index: int) -> dict[str, Any]:
    rows = np.flatnonzero(np.isfinite(graph.values[:, index]))
    columns = {name: graph.columns[column][rows, index] for name, column in _COLUMNS.items()}
    drawn = {
        name: column if name == "value" else _rounded(column) for name, column in columns.items()
    }
    counts = np.nan_to_num(graph.columns["n"][rows, index]).astype(int)
    return {"revision": graph.revisions[rows], "n": counts} | drawn


def _rounded(column: Array) -> Array:
    """To a few significant digits, and NaN for what is infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        places = _DIGITS - 1 - np.floor(np.log10(np.abs(column)))
        scale = 10.0 ** np.clip(np.nan_to_num(places), -300, 300)
        rounded = np.round(column * scale) / scale
    return np.where(np.isfinite(rounded), rounded, np.nan)


def _by_series(publication: Publication) -> dict[tuple[str, int], list[tuple[int, Doubt]]]:
    """Doubts by graph and combination, each with the row of its commit."""
    found: dict[tuple[str, int], list[tuple[int, Doubt]]] = {}
    doubts = publication.doubts
    for graph in publication.graphs if doubts else []:
        positions = _positions(publication.benchmarks[graph.benchmark_name])
        version = str(publication.benchmarks[graph.benchmark_name].get("version"))
        for row, source in graph.sources.T.tolist():
            for doubt in doubts.get(publication.sources[source], []):
                position = positions.get(doubt.combination)
                is_here = (doubt.benchmark, doubt.version) == (graph.benchmark_name, version)
                if is_here and position is not None:
                    found.setdefault((graph.path, position), []).append((row, doubt))
    return found


def _positions(benchmark: Mapping[str, Any]) -> dict[tuple[str, ...], int]:
    return {each: at for at, each in enumerate(itertools.product(*benchmark["params"]))}


def _doubts(graph: Graph, index: int, found: list[tuple[int, Doubt]]) -> Iterator[dict[str, Any]]:
    for row, doubt in found:
        started = graph.columns["started_at"][row, index]
        # The doubt about a run that another one has replaced is no longer about what is shown.
        if doubt.verdict == "suspect" and started != doubt.started_at:
            continue
        yield {
            "revision": int(graph.revisions[row]),
            "verdict": doubt.verdict,
            "reasons": list(doubt.reasons),
            "value": doubt.value,
        }
