"""What is plotted: one graph a benchmark, machine, environment and branch, as asv splits them.

The values come from the store's table, which keeps parsed files by their identity; all of a
graph's combinations are columns of one array, so that thousands of commits are a few of numpy's
operations.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from asv.graph import Graph as AsvGraph

from mobileopt.store.table import Table

Array = npt.NDArray[Any]
_LEAST, _MOST = ("ci_low", "q_25"), ("ci_high", "q_75", "n", "started_at")
COLUMNS = ("value", *_LEAST, *_MOST)
"""What is kept of a cell; value, interval and quartiles in the benchmark's unit."""

_SHIFT = 32


@dataclass(frozen=True, eq=False)
class Graph:
    """One benchmark in one environment: a row a revision, a column a parameter combination.

    `params` is what asv names the graph by; `columns` has an array of shape (revisions,
    combinations) for each of COLUMNS, NaN where nothing was measured. `sources` are the result
    files behind it as (row, index of the table's header), `environment` the store's name for
    what the newest was run in.
    """

    benchmark_name: str
    params: Mapping[str, Any]
    is_scalar: bool
    revisions: Array
    columns: Mapping[str, Array]
    sources: Array
    environment: str = ""

    @cached_property
    def path(self) -> str:
        """Where asv's JavaScript looks for it, below the site and without `.json`."""
        return AsvGraph.get_file_path(self.params, self.benchmark_name)

    @property
    def values(self) -> Array:
        """The values, shape (revisions, combinations), NaN where there is none."""
        return self.columns["value"]

    def get_data(self) -> list[tuple[int, Any, None]]:
        """Revision, value or values, and no weight, as asv's own graph gives them."""
        rows = plain(self.values[self.span])
        if self.is_scalar:
            rows = [row[0] for row in rows]
        revisions = self.revisions[self.span].tolist()
        return [(revision, row, None) for revision, row in zip(revisions, rows, strict=True)]

    @property
    def span(self) -> slice:
        """The rows from the first to the last with a value.

        asv keeps the row after an only one; so does this, for the same files.
        """
        has = np.flatnonzero(np.isfinite(self.values).any(axis=1))
        if not len(has):
            return slice(0, 0)
        return slice(has[0], max(has[-1] + 1, min(has[0] + 2, len(self.revisions))))


def plain(array: Array) -> list[Any]:
    """An array as nested lists, None for NaN: JSON has no other way to say nothing."""
    missing = np.isnan(array)
    if not missing.any():
        return array.tolist()
    found = array.astype(object)
    found[missing] = None
    return found.tolist()


Place = tuple[int, int, dict[str, Any]]
"""Where a file's results go: its index in the table, its revision, and the graphs' params."""


@dataclass(frozen=True, eq=False)
class _Draft:
    """A graph whose cells have been found and not yet read."""

    benchmark: Mapping[str, Any]
    params: Mapping[str, Any]
    rows: Array
    revisions: Array
    cells: Array


def build(table: Table, benchmarks: Mapping[str, Any], places: Iterable[Place]) -> Iterator[Graph]:
    """The graphs of the benchmarks asv lists, of the files that have a place.

    The table's cells are used up: each column goes as soon as it stands in the graphs, or a
    large store would be in memory twice.
    """
    drafts = list(_drafts(table, benchmarks, places))
    columns: list[dict[str, Array]] = [{} for _ in drafts]
    for name in COLUMNS:
        cells = table.cells.pop(name)
        for draft, own in zip(drafts, columns, strict=True):
            own[name] = _column(cells, draft.cells)
    for draft, own in zip(drafts, columns, strict=True):
        yield _graph(table, draft, own)


def _drafts(
    table: Table, benchmarks: Mapping[str, Any], places: Iterable[Place]
) -> Iterator[_Draft]:
    kinds: dict[str, int] = {}
    params_of: list[dict[str, Any]] = []
    by_file: dict[int, list[tuple[int, int]]] = {}
    for index, revision, params in places:
        text = json.dumps(params, sort_keys=True, default=str)
        kind = kinds.setdefault(text, len(kinds))
        if kind == len(params_of):
            params_of.append(params)
        by_file.setdefault(index, []).append((kind, revision))
    most = max((len(each) for each in by_file.values()), default=0)
    for turn in range(most):
        # A commit on several branches is in a graph of each: one turn places it in one of them.
        kind = np.full(len(table.identities), -1)
        revision = np.full(len(table.identities), -1)
        for index, found in by_file.items():
            if turn < len(found):
                kind[index], revision[index] = found[turn]
        yield from _drafts_of_turn(table, benchmarks, (kind, revision), params_of)


def _drafts_of_turn(
    table: Table,
    benchmarks: Mapping[str, Any],
    placed: tuple[Array, Array],
    params_of: list[dict[str, Any]],
) -> Iterator[_Draft]:
    kind, revision = (each[table.rows["file"]] for each in placed)
    usable = np.flatnonzero((kind >= 0) & _listed(table, benchmarks))
    keys = table.rows["benchmark"][usable].astype("i8") << _SHIFT | kind[usable]
    order = np.argsort(keys, kind="stable")
    for group in np.split(usable[order], np.flatnonzero(np.diff(keys[order])) + 1):
        if len(group):
            rows = group[np.argsort(revision[group], kind="stable")]
            benchmark = benchmarks[table.texts[table.rows["benchmark"][rows[0]]]]
            cells = _cells(table, benchmark, rows)
            yield _Draft(benchmark, params_of[kind[rows[0]]], rows, revision[rows], cells)


def _listed(table: Table, benchmarks: Mapping[str, Any]) -> Array:
    """Whether asv shows each row: its benchmark is listed, in the same version or none."""
    pairs = table.rows["benchmark"].astype("i8") << _SHIFT | table.rows["version"]
    found = sorted(set(pairs.tolist()))  # numpy's own way loads all of its masked arrays
    shown = [
        (listed := benchmarks.get(table.texts[pair >> _SHIFT])) is not None
        and table.texts[pair & 0xFFFFFFFF] in ("", str(listed.get("version")))
        for pair in found
    ]
    return np.array(shown, bool)[np.searchsorted(found, pairs)]


def _graph(table: Table, draft: _Draft, columns: dict[str, Array]) -> Graph:
    revisions = draft.revisions
    columns["value"][~np.isfinite(columns["value"])] = np.nan
    for name in COLUMNS[1:]:
        columns[name][np.isnan(columns["value"])] = np.nan
    files = table.rows["file"][draft.rows]
    begins = np.diff(revisions, prepend=-1) > 0
    sources = np.stack([np.cumsum(begins) - 1, files])
    starts = np.flatnonzero(begins)
    if len(starts) < len(revisions):
        columns = _merged(columns, starts)
    name, is_scalar = str(draft.benchmark["name"]), not draft.benchmark["params"]
    environment = table.told("environment", sources[1, -1])
    return Graph(name, draft.params, is_scalar, revisions[starts], columns, sources, environment)


def _cells(table: Table, benchmark: Mapping[str, Any], rows: Array) -> Array:
    """The position of each row's cell for each combination of today's, -1 for none."""
    wanted = list(itertools.product(*benchmark["params"]))
    starts = (np.cumsum(table.rows["size"]) - table.rows["size"])[rows]
    index = np.full((len(rows), len(wanted)), -1, np.int32)
    axes = table.rows["axes"][rows]
    for code in set(axes.tolist()):
        stored = itertools.product(*json.loads(table.texts[code]))
        position = {combination: at for at, combination in enumerate(stored)}
        offset = np.array([position.get(each, -1) for each in wanted])
        of_axes = axes == code
        found = starts[of_axes][:, None] + offset
        index[of_axes] = np.where(offset >= 0, found, -1)
    return index


def _column(cells: Array, index: Array) -> Array:
    if not len(cells):
        return np.full(index.shape, np.nan)
    return np.where(index >= 0, cells[index], np.nan)


def _merged(columns: Mapping[str, Array], starts: Array) -> dict[str, Array]:
    """One row a revision: asv's mean of the values, and the widest of their intervals."""
    value = columns["value"]
    count = np.add.reduceat(np.isfinite(value).astype(float), starts)
    total = np.add.reduceat(np.nan_to_num(value), starts)
    merged = {"value": np.divide(total, count, out=np.full_like(total, math.nan), where=count > 0)}
    merged |= {name: np.fmin.reduceat(columns[name], starts) for name in _LEAST}
    return merged | {name: np.fmax.reduceat(columns[name], starts) for name in _MOST}
