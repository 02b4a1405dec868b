"""The whole store as one pandas frame, a parameter combination a row.

Columns: `machine`, `commit`, `date`, `environment`, `python`, `benchmark`, `version`, `unit`;
one column a parameter, named as in benchmarks.json (`param0`, ... for a benchmark it does not
list; `param_<name>` where the name is a column's already); `value` in `unit`, the median of the
samples; `status` (`measured`, `skipped`, `failed`); `n` samples; the 99 % interval `ci_low`,
`ci_high`; `started_at`; the machine's `os`, `arch`, `cpu`, `num_cpu`, `ram`; and, on request,
`samples`. Dates and starts are UTC. Texts are categories: compare them, do not concatenate.
"""

# pyright: standard
# pandas ships no stubs, so every value it hands out is unknown to the strict mode.

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mobileopt.errors import StoreError
from mobileopt.store import cache, registry
from mobileopt.store.entry import natural
from mobileopt.store.table import Array, Table

STATUSES = ("measured", "skipped", "failed")
FILE_TEXTS = ("machine", "commit", "environment", "python")
MACHINE_TEXTS = ("os", "arch", "cpu", "num_cpu", "ram")
MEASURES = ("value", "status", "n", "ci_low", "ci_high", "started_at")
FIXED = (*FILE_TEXTS, "date", "benchmark", "version", "unit", *MEASURES, *MACHINE_TEXTS, "samples")


def read(root: Path, *, samples: bool = False) -> pd.DataFrame:
    """Read a store; files unchanged since the last call come from the user's cache folder.

    Damaged files, rows that do not fit their parameters and folders without a machine.json are
    skipped with a StoreWarning. Raises StoreError if the folder does not exist.
    """
    if not root.is_dir():
        raise StoreError(f"{root} is not a folder of results")
    table = cache.load(root, cache.paths(root))
    listed = registry.read(root)
    columns = _file_columns(table) | _row_columns(table, listed)
    measures = _measures(table)
    machine = {name: columns.pop(name) for name in MACHINE_TEXTS}
    columns |= _parameters(table, listed) | measures | machine
    if samples:
        columns["samples"] = _samples(table)
    frame = pd.DataFrame(columns, copy=False)
    order = np.array([identity[0] for identity in table.identities])
    if len(order) and (order[:-1] > order[1:]).any():
        # Files read later than their neighbours come last in the cache.
        rank = np.argsort(np.argsort(order, kind="stable"))
        positions = rank[table.rows["file"]][table.row_of_cell]
        frame = frame.iloc[np.argsort(positions, kind="stable")].reset_index(drop=True)
    return frame


def _file_columns(table: Table) -> dict[str, Any]:
    of_cell = table.rows["file"][table.row_of_cell]
    columns: dict[str, Any] = {}
    for name in (*FILE_TEXTS, *MACHINE_TEXTS):
        columns[name] = _category(table.texts, table.files[name][of_cell])
    columns["date"] = _moments(table.files["date"][of_cell])
    return columns


def _row_columns(table: Table, listed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    units = [str(listed.get(text, {}).get("unit", "")) for text in table.texts]
    benchmark = table.rows["benchmark"][table.row_of_cell]
    return {
        "benchmark": _category(table.texts, benchmark),
        "version": _category(table.texts, table.rows["version"][table.row_of_cell]),
        "unit": _category(units, benchmark),
    }


def _measures(table: Table) -> dict[str, Any]:
    columns: dict[str, Any] = {name: table.cells[name] for name in MEASURES}
    columns["status"] = pd.Categorical.from_codes(table.cells["status"], list(STATUSES))
    columns["started_at"] = _moments(table.cells["started_at"])
    return columns


def _samples(table: Table) -> Array:
    kept = table.cells["kept"]
    column = np.full(len(kept), None, object)
    ends = np.cumsum(kept)
    for index in np.flatnonzero(kept):
        column[index] = table.samples[ends[index] - kept[index] : ends[index]]
    return column


def _category(texts: list[str], codes: Array) -> pd.Categorical:
    """A column of texts, `codes` being their positions, with the texts in order as categories."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(texts)))
    values = sorted({texts[index] for index in used})
    position = {text: index for index, text in enumerate(values)}
    lookup = np.array([position.get(text, -1) for text in texts], "i4")
    return pd.Categorical.from_codes(lookup[codes] if len(texts) else codes, values)


def _moments(milliseconds: Array) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(milliseconds.astype("M8[ms]")).tz_localize("UTC")


def _parameters(table: Table, listed: Mapping[str, Mapping[str, Any]]) -> dict[str, pd.Categorical]:
    """One column a parameter: its value's position follows from the cell's in the product."""
    rows = table.rows
    pairs, pair_of_row = np.unique(
        rows["benchmark"].astype("i8") << 32 | rows["axes"], return_inverse=True
    )
    where: dict[str, list[tuple[int, int, list[str]]]] = {}
    for pair, code in enumerate(pairs):
        benchmark, axes = table.texts[code >> 32], json.loads(table.texts[code & 0xFFFFFFFF])
        names = _names(listed.get(benchmark, {}), len(axes))
        for name in names:
            where.setdefault(name, [])
        stride = 1
        for name, axis in reversed(list(zip(names, axes, strict=True))):
            where[name].append((pair, stride, axis))
            stride *= len(axis)
    starts = np.cumsum(rows["size"]) - rows["size"]
    position = np.arange(len(table.cells["value"])) - starts[table.row_of_cell]
    of_cell = pair_of_row[table.row_of_cell]
    return {name: _parameter(uses, len(pairs), of_cell, position) for name, uses in where.items()}


def _names(benchmark: Mapping[str, Any], count: int) -> list[str]:
    names = benchmark.get("param_names")
    if not isinstance(names, list) or len(names) != count:
        names = [f"param{index}" for index in range(count)]
    return [f"param_{name}" if name in FIXED else str(name) for name in names]


def _parameter(
    uses: list[tuple[int, int, list[str]]], pairs: int, of_cell: Array, position: Array
) -> pd.Categorical:
    values: dict[str, int] = {}
    lookup: list[int] = []
    stride, size, offset = (np.ones(pairs, "i8"), np.ones(pairs, "i8"), np.full(pairs, -1, "i8"))
    for pair, step, axis in uses:
        stride[pair], size[pair], offset[pair] = step, len(axis), len(lookup)
        lookup.extend(values.setdefault(value, len(values)) for value in axis)
    has = offset[of_cell] >= 0
    pair = of_cell[has]
    codes = np.full(len(of_cell), -1, "i4")
    index = offset[pair] + position[has] // stride[pair] % size[pair]
    codes[has] = np.array(lookup, "i4")[index]
    readable = [natural(value) for value in values]
    # 1 and True are one category to pandas: keep what asv wrote where two would fall together.
    distinct = len(set(readable)) == len(readable) and None not in readable
    return pd.Categorical.from_codes(codes, readable if distinct else list(values))
