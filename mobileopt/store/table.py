"""Result files as columns of numbers: what is read from them once, and kept by file identity.

A table has three levels, each an array a column: files, rows (one benchmark of one file) and
cells (one parameter combination). Texts are kept once and referred to by index, so that a store
of millions of cells is tens of bytes a cell and loads as fast as the disk gives it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobileopt.errors import StoreError
from mobileopt.store import documents, files

Array = NDArray[Any]
Identity = tuple[str, int, int, int]
"""A file: its path below the store, size, modification time (ns) and inode."""

MEASURED, SKIPPED, FAILED = range(3)
_PARAMS = ("machine", "os", "arch", "cpu", "num_cpu", "ram")
_FILE_TEXTS = ("settings", "commit", "environment", "python", *_PARAMS)
FILE_DTYPES = {"date": "i8"} | dict.fromkeys(_FILE_TEXTS, "i4")
"""What stands above the results of a file: its date in milliseconds, and texts by position."""

ROW_DTYPES = {"file": "i4", "benchmark": "i4", "version": "i4", "axes": "i4", "size": "i4"}
CELL_DTYPES = {
    "value": "f8",
    "ci_low": "f8",
    "ci_high": "f8",
    "q_25": "f8",
    "q_75": "f8",
    "started_at": "i8",
    "n": "i4",
    "status": "i1",
    "kept": "i4",
}


class _Raw(NamedTuple):
    """A row as it was read, of the file with this index."""

    benchmark: str
    axes: str
    row: dict[str, Any]
    size: int
    times: list[int | None] | None
    file: int
    path: Path


_SOURCES = {
    "value": "result",
    "ci_low": "stats_ci_99_a",
    "ci_high": "stats_ci_99_b",
    "q_25": "stats_q_25",
    "q_75": "stats_q_75",
    "n": "stats_repeat",
}


_TOGETHER = 4096
"""Cells that are converted at once: an array costs more to make than a small file's numbers, and a
large file's samples are many objects until they are one."""


@dataclass
class Table:
    """The columns of a set of result files. `samples` is flat, `kept` counts a cell's."""

    identities: list[Identity]
    texts: list[str]
    files: dict[str, Array]
    rows: dict[str, Array]
    cells: dict[str, Array]
    samples: Array

    def told(self, name: str, file: int) -> str:
        """The text `name` of FILE_DTYPES of a file."""
        return self.texts[int(self.files[name][file])]

    @property
    def row_of_cell(self) -> Array:
        """The index of each cell's row."""
        return np.repeat(np.arange(len(self.rows["size"])), self.rows["size"])


def empty() -> Table:
    """A table of no files."""
    files, rows, cells = (
        {name: np.empty(0, dtype) for name, dtype in each.items()}
        for each in (FILE_DTYPES, ROW_DTYPES, CELL_DTYPES)
    )
    return Table([], [], files, rows, cells, np.empty(0, "f8"))


def identify(root: Path, path: Path) -> Identity:
    """What tells a file from what it was: every save gives it a new inode and time."""
    status = path.stat()
    name = path.relative_to(root).as_posix()
    return (name, status.st_size, status.st_mtime_ns, status.st_ino)


class Builder:
    """Gathers result files, one after the other, into a Table."""

    def __init__(self) -> None:
        self._identities: list[Identity] = []
        self._files: list[tuple[int, ...]] = []
        self._texts: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._rows: list[tuple[int, ...]] = []
        self._cells: dict[str, list[Array]] = {name: [] for name in CELL_DTYPES}
        self._samples: list[Array] = []
        self._pending: list[_Raw] = []

    def add(self, root: Path, path: Path) -> None:
        """Read one file; a damaged file or row is skipped with a StoreWarning."""
        try:
            identity = identify(root, path)
            document = documents.check(files.read_json(path))
        except FileNotFoundError:
            return  # moved by a writer between the listing and now
        except StoreError as error:
            files.warn(f"{path} was skipped: {error}")
            return
        self._identities.append(identity)
        self._files.append(self._header(document))
        times, columns = documents.own_times(document), document["result_columns"]
        index = len(self._files) - 1
        for name, values in document["results"].items():
            row = dict(zip(columns, values, strict=False))
            try:
                axes = json.dumps(row.get("params") or [])
                size = self._size(axes, row)
            except StoreError as error:
                files.warn(f"{name} of {path} was skipped: {error}")
                continue
            self._pending.append(_Raw(name, axes, row, size, times.get(name), index, path))
        if sum(each.size for each in self._pending) >= _TOGETHER:
            self._add_pending()

    def table(self) -> Table:
        """What was gathered; it is handed over, and the builder is empty after it."""
        self._add_pending()
        files = np.array(self._files, "i8").reshape(-1, len(FILE_DTYPES))
        rows = np.array(self._rows, "i4").reshape(-1, len(ROW_DTYPES))
        # Column by column: a store of thousands of files would be in memory twice otherwise.
        cells = {
            name: np.concatenate([np.empty(0, dtype), *self._cells.pop(name)])
            for name, dtype in CELL_DTYPES.items()
        }
        return Table(
            self._identities,
            list(self._texts),
            {
                name: files[:, at].astype(dtype)
                for at, (name, dtype) in enumerate(FILE_DTYPES.items())
            },
            {name: rows[:, index] for index, name in enumerate(ROW_DTYPES)},
            cells,
            np.concatenate([np.empty(0), *self._samples]),
        )

    def _code(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))

    def _header(self, document: dict[str, Any]) -> tuple[int, ...]:
        date: Any = document.get("date")
        told = _told(document)
        texts = (self._code(told[name]) for name in _FILE_TEXTS)
        return (int(date) if documents.is_time(date) else 0, *texts)

    def _size(self, axes: str, row: dict[str, Any]) -> int:
        # The same parameters stand in thousands of files: each is checked once.
        size = self._sizes.get(axes)
        if size is None:
            size = self._sizes[axes] = math.prod(map(len, documents.parse_axes(row.get("params"))))
        documents.check_lengths(row, size)
        return size

    def _add_pending(self) -> None:
        raws, self._pending = self._pending, []
        self._add_rows(raws)

    def _add_rows(self, raws: list[_Raw]) -> None:
        """Convert many rows at once, which is what is fast; find the bad one if there is one."""
        if not raws:
            return
        try:
            columns, samples = _cell_columns(raws)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            if len(raws) == 1:
                files.warn(f"{raws[0].benchmark} of {raws[0].path} was skipped: {error}")
            else:
                for each in raws:
                    self._add_rows([each])
            return
        for name, column in columns.items():
            self._cells[name].append(column)
        self._samples.append(samples)
        for each in raws:
            identity = (each.benchmark, each.row.get("version") or "", each.axes)
            self._rows.append((each.file, *(self._code(str(text)) for text in identity), each.size))


def kept(table: Table, keep: Array) -> Table:
    """The table of only some files, `keep` is one truth a file; the columns are used up.

    Column by column: a large store would be in memory twice otherwise.
    """
    rows_kept = keep[table.rows["file"]] if len(keep) else np.empty(0, bool)
    cells_kept = np.repeat(rows_kept, table.rows["size"])
    samples_kept = np.repeat(cells_kept, table.cells["kept"])
    renumbered = np.cumsum(keep) - 1
    rows = {name: column[rows_kept] for name, column in table.rows.items()}
    rows["file"] = renumbered[rows["file"]].astype("i4")
    chosen = np.flatnonzero(keep)
    return Table(
        [table.identities[index] for index in chosen],
        table.texts,
        {name: column[keep] for name, column in table.files.items()},
        rows,
        {name: table.cells.pop(name)[cells_kept] for name in CELL_DTYPES},
        table.samples[samples_kept],
    )


def joined(one: Table, other: Table) -> Table:
    """The files of both, those of `one` first; the columns of both are used up.

    Column by column: a large store would be in memory twice otherwise.
    """
    if not one.identities:
        return other
    index = {text: number for number, text in enumerate(one.texts)}
    moved = np.array([index.setdefault(text, len(index)) for text in other.texts], "i4")
    files = {name: moved[column] if name != "date" else column
             for name, column in other.files.items()}  # fmt: skip
    rows = dict(other.rows)
    rows["file"] = rows["file"] + len(one.identities)
    for name in ("benchmark", "version", "axes"):
        rows[name] = moved[rows[name]]
    return Table(
        one.identities + other.identities,
        list(index),
        {name: np.concatenate([one.files[name], files[name]]) for name in FILE_DTYPES},
        {name: np.concatenate([one.rows[name], rows[name]]) for name in ROW_DTYPES},
        {
            name: np.concatenate([one.cells.pop(name), other.cells.pop(name)])
            for name in CELL_DTYPES
        },
        np.concatenate([one.samples, other.samples]),
    )


def _told(document: dict[str, Any]) -> dict[str, str]:
    params = document["params"]
    env_vars: Any = document.get("env_vars")
    return {
        # What asv names a graph by, whole, and as a text: thousands of files have the same.
        "settings": json.dumps([params, env_vars if isinstance(env_vars, dict) else {}]),
        "commit": document["commit_hash"],
        "environment": str(document.get("env_name") or ""),
        "python": str(document.get("python") or ""),
        **{name: str(params.get(name) or "") for name in _PARAMS},
    }


def _cell_columns(raws: list[_Raw]) -> tuple[dict[str, Array], Array]:
    """The cells of some rows, and their samples; raises ValueError and its like on nonsense."""
    lists: dict[str, list[Any]] = {name: [] for name in _SOURCES.values()}
    starts: list[int] = []
    samples: list[list[float]] = []
    for _, _, row, size, times, *_ in raws:
        for name, values in lists.items():
            values.extend(row.get(name) or [None] * size)
        start = int(row.get("started_at") or 0)
        own = times if times is not None and len(times) == size else [start] * size
        starts.extend(start if time is None else time for time in own)
        taken: list[list[float] | None] = row.get("samples") or [None] * size
        samples.extend(each or [] for each in taken)
    columns = {name: np.array(lists[source], "f8") for name, source in _SOURCES.items()}
    if any(column.ndim != 1 for column in columns.values()):
        raise ValueError("a value is a list")
    kept = np.fromiter(map(len, samples), "i4", len(samples))
    status = np.where(np.isfinite(columns["value"]), MEASURED, SKIPPED)
    unmeasured = np.flatnonzero(status)
    status[[index for index in unmeasured if lists["result"][index] is None]] = FAILED
    counts = np.clip(np.nan_to_num(columns["n"]), 0, np.iinfo("i4").max)
    columns["n"] = np.where(kept > 0, kept, counts)
    columns |= {"status": status, "kept": kept, "started_at": np.array(starts, "i8")}
    flat = np.array(list(chain.from_iterable(samples)), "f8")
    return {name: columns[name].astype(dtype) for name, dtype in CELL_DTYPES.items()}, flat
