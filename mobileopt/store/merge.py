"""Merging two versions of one result file, without reading or writing anything.

A row of asv's format is one benchmark: lists over the product of its parameters, and one
`started_at` for all of them. Two writers measure different combinations at different times, so
merging goes by combination: each *cell* has its own time, kept under `mobileopt` in the file
(asv ignores the key) where it differs from the row's.

Of two cells of the same benchmark version the better is kept: a measured value before a failed
(null) or skipped (NaN) one, then the newer, then the one with more samples, then an arbitrary
but fixed one. That is a total order, so merging is commutative, associative and idempotent
there, and never loses a finite value. Rows of different versions do not mix: the newer row
stays and the older is handed back in `Merged.replaced`, for the caller to keep elsewhere.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from mobileopt.errors import StoreError

Json = dict[str, Any]
Axes = tuple[tuple[str, ...], ...]
Combination = tuple[str, ...]

API_VERSION = 2
MAX_COMBINATIONS = 1_000_000
ROW_COLUMNS = ("params", "version", "started_at", "duration", "profile")
CELL_COLUMNS = (
    "result",
    "stats_ci_99_a",
    "stats_ci_99_b",
    "stats_q_25",
    "stats_q_75",
    "stats_number",
    "stats_repeat",
    "samples",
)
# The order in which asv itself writes them.
COLUMNS = ("result", *ROW_COLUMNS[:4], *CELL_COLUMNS[1:], "profile")
EXTRA = "mobileopt"
_TIMES = "cell_started_at"


class FormatError(StoreError):
    """JSON that is not a result file."""


class MisfitError(StoreError):
    """A row's lists are not as long as the product of its parameters."""


@dataclass(frozen=True)
class Cell:
    """One parameter combination: its columns, and when it was measured (ms since 1970)."""

    columns: Mapping[str, Any]
    started_at: int

    @property
    def is_good(self) -> bool:
        """Whether a value was measured: neither null (failed) nor NaN (skipped)."""
        return is_good(self.columns.get("result"))

    @property
    def rank(self) -> tuple[bool, int, int, bool, str]:
        """What orders cells of one combination, the better the greater."""
        samples: list[float] = self.columns.get("samples") or []
        is_failed = self.columns.get("result") is None
        return (self.is_good, self.started_at, len(samples), is_failed, canonical(self.columns))


@dataclass(frozen=True)
class Row:
    """One benchmark of one file. A combination without a cell was never asked for."""

    axes: Axes
    version: str | None
    started_at: int
    cells: Mapping[Combination, Cell]
    duration: float | None = None
    profile: str | None = None

    @property
    def order(self) -> tuple[int, str]:
        """What decides which of two rows gives what can be had only once."""
        return (self.started_at, canonical([self.version, self.axes, self.duration, self.profile]))

    def is_comparable(self, other: Row) -> bool:
        """Whether cells of both may stand in one row: same version, same number of axes."""
        same_version = None in (self.version, other.version) or self.version == other.version
        return same_version and len(self.axes) == len(other.axes)


@dataclass(frozen=True)
class Document:
    """A result file: everything beside the results, and the rows by benchmark.

    A row asv's format cannot explain is carried along as it was read.
    """

    header: Json
    rows: Mapping[str, Row | list[Any]]


@dataclass(frozen=True)
class Merged:
    """A merged document, and the rows of other benchmark versions it has no place for."""

    document: Document
    replaced: Mapping[str, Row | list[Any]] = field(default_factory=dict[str, Row | list[Any]])


def is_good(value: Any) -> bool:
    """Whether a stored value is a measurement: neither null, NaN nor infinite."""
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def is_time(value: Any) -> bool:
    """Whether a value is milliseconds since 1970, before the year 10000."""
    return isinstance(value, int | float) and 0 <= value < 253_402_300_800_000


def canonical(value: Any) -> str:
    """One text for one value: what makes NaN equal to NaN and a tie come out the same."""
    return json.dumps(value, sort_keys=True, default=dict)


def check(document: Json) -> Json:
    """Return the JSON of a result file; raises FormatError when it is not one of version 2."""
    version, results = document.get("version"), document.get("results")
    if version != API_VERSION:
        raise FormatError(f"a result file of version {version!r}, {API_VERSION} is understood")
    if not isinstance(results, dict) or not isinstance(document.get("result_columns"), list):
        raise FormatError("a result file without its results and result_columns")
    if not isinstance(document.get("commit_hash"), str) or not isinstance(
        document.get("params"), dict
    ):
        raise FormatError("a result file without its commit_hash and params")
    for name, values in cast(Json, results).items():
        if not isinstance(values, list):
            raise FormatError(f"a result file whose row of {name[:80]!r} is no list")
    return document


def parse(document: Json) -> Document:
    """Read the JSON of a result file; raises FormatError when it is not one of version 2."""
    check(document)
    times = own_times(document)
    rows: dict[str, Row | list[Any]] = {}
    for name, values in document["results"].items():
        raw = dict(zip(document["result_columns"], values, strict=False))
        try:
            rows[name] = parse_row(raw, times.get(name))
        except MisfitError:
            rows[name] = [raw.get(column) for column in COLUMNS]
    taken = ("results", "result_columns", "version", EXTRA)
    return Document({key: document[key] for key in document if key not in taken}, rows)


def parse_row(raw: Json, times: list[int | None] | None = None) -> Row:
    """Read one row by column; `times` are its cells' own, null for one never asked for.

    Raises MisfitError when a list is not as long as the product of the parameters.
    """
    axes = check_row(raw)
    started_at = int(raw.get("started_at") or 0)
    size = math.prod(map(len, axes))
    own: list[int | None] = [started_at] * size
    if times is not None and len(times) == size:
        own = times
    lists = {name: raw[name] for name in CELL_COLUMNS if raw.get(name) is not None}
    cells: dict[Combination, Cell] = {}
    for index, (combination, time) in enumerate(zip(itertools.product(*axes), own, strict=True)):
        if time is not None:
            columns = {name: values[index] for name, values in lists.items()}
            cells[combination] = Cell(
                {name: value for name, value in columns.items() if value is not None}, time
            )
    return Row(axes, raw.get("version"), started_at, cells, raw.get("duration"), raw.get("profile"))


def check_row(raw: Json) -> Axes:
    """A row's parameters; raises MisfitError when its lists do not fit them."""
    axes = parse_axes(raw.get("params"))
    check_lengths(raw, math.prod(map(len, axes)))
    return axes


def check_lengths(raw: Json, size: int) -> None:
    """Raise MisfitError unless each of a row's lists holds `size` values."""
    for name in CELL_COLUMNS:
        values = raw.get(name)
        if values is not None and (not isinstance(values, list) or len(cast(Any, values)) != size):
            raise MisfitError(f"{name} does not hold a value for each of {size} combinations")
    if size > MAX_COMBINATIONS:
        raise MisfitError(f"{size} combinations are more than {MAX_COMBINATIONS}")
    if not is_time(raw.get("started_at") or 0):
        raise MisfitError(f"started_at {raw['started_at']!r} is no time in milliseconds")


def parse_axes(params: Any) -> Axes:
    """A row's parameters: lists of texts. Raises MisfitError for anything else."""
    if params is not None and not isinstance(params, list):
        raise MisfitError("params is not a list of lists")
    axes = cast("list[Any]", params or [])
    for axis in axes:
        if not isinstance(axis, list) or not all(isinstance(v, str) for v in cast(Any, axis)):
            raise MisfitError("params is not a list of lists of texts")
    return tuple(tuple(axis) for axis in axes)


def own_times(document: Json) -> dict[str, list[int | None]]:
    """The cells' own times by benchmark; what is not a list of times is not believed."""
    extra = document.get(EXTRA)
    found: Any = cast(Json, extra).get(_TIMES) if isinstance(extra, dict) else None
    if not isinstance(found, dict):
        return {}
    return {
        name: times
        for name, times in cast("dict[str, Any]", found).items()
        if isinstance(times, list)
        and all(time is None or is_time(time) for time in cast("list[Any]", times))
    }


def dump(document: Document) -> Json:
    """The JSON of a document, as asv writes it, with the cells' own times beside."""
    results: Json = {}
    times: Json = {}
    for name, row in document.rows.items():
        values, own = dump_row(row) if isinstance(row, Row) else (list(row), None)
        while values and values[-1] is None:
            values.pop()
        results[name] = values
        if own is not None:
            times[name] = own
    out = document.header | {"result_columns": list(COLUMNS), "results": results}
    if times:
        out[EXTRA] = {_TIMES: times}
    return out | {"version": API_VERSION}


def dump_row(row: Row) -> tuple[list[Any], list[int | None] | None]:
    """A row's values in the order of COLUMNS, and its cells' times where one differs."""
    combinations = list(itertools.product(*row.axes))
    cells = [row.cells.get(each) for each in combinations]
    lists: dict[str, Any] = {
        name: [None if cell is None else cell.columns.get(name) for cell in cells]
        for name in CELL_COLUMNS
    }
    # NaN is asv's "skipped", null its "failed": what nobody asked for has not failed.
    lists["result"] = [math.nan if cell is None else cell.columns.get("result") for cell in cells]
    for name, values in lists.items():
        if all(value is None for value in values):
            lists[name] = None
    single = {
        "params": [list(axis) for axis in row.axes],
        "version": row.version,
        "started_at": row.started_at or None,
        "duration": row.duration,
        "profile": row.profile,
    }
    times = [None if cell is None else cell.started_at for cell in cells]
    own = None if all(time == row.started_at for time in times) else times
    return [(lists | single)[name] for name in COLUMNS], own


def merge(one: Document, other: Document) -> Merged:
    """Both documents' results in one; raises StoreError if they are not of one file."""
    check_identity(one.header, other.header)
    rows: dict[str, Row | list[Any]] = {}
    replaced: dict[str, Row | list[Any]] = {}
    for name in sorted({*one.rows, *other.rows}):
        if name in one.rows and name in other.rows:
            rows[name], lost = _merge_any(one.rows[name], other.rows[name])
            if lost is not None:
                replaced[name] = lost
        else:
            rows[name] = one.rows[name] if name in one.rows else other.rows[name]
    older, newer = sorted((one, other), key=_header_order)
    durations: Json = {}
    for header in (older.header, newer.header):
        found = header.get("durations")
        durations |= cast(Json, found) if isinstance(found, dict) else {}
    return Merged(Document(newer.header | {"durations": durations}, rows), replaced)


def merge_rows(one: Row, other: Row) -> Row:
    """Two comparable rows in one: by combination the better cell, the axes' union in order."""
    older, newer = sorted((one, other), key=lambda row: row.order)
    axes = tuple(
        tuple(dict.fromkeys((*new, *old))) for new, old in zip(newer.axes, older.axes, strict=True)
    )
    cells = dict(newer.cells)
    for combination, cell in older.cells.items():
        rival = cells.get(combination)
        cells[combination] = cell if rival is None else max(cell, rival, key=lambda c: c.rank)
    version = older.version if newer.version is None else newer.version
    profile = older.profile if newer.profile is None else newer.profile
    return Row(axes, version, newer.started_at, cells, newer.duration, profile)


def restamp(mine: Document, base: Document) -> Document:
    """Give what `mine` merely carries from `base`, the file it was read from, its own time.

    asv rewrites a whole row, with a new `started_at`, when it measures one combination. A cell
    edited without a new time (samples dropped) counts as one millisecond newer.
    """
    rows = dict(mine.rows)
    for name, row in mine.rows.items():
        old = base.rows.get(name)
        if isinstance(row, Row) and isinstance(old, Row) and row.is_comparable(old):
            rows[name] = replace(row, cells=_restamped(row, old))
    return replace(mine, rows=rows)


def without(document: Document, removed: Mapping[str, int]) -> Document:
    """Drop the rows removed by name that are no newer than when they were removed."""
    rows = {
        name: row
        for name, row in document.rows.items()
        if not (name in removed and isinstance(row, Row) and row.started_at <= removed[name])
    }
    return replace(document, rows=rows)


def check_identity(one: Json, other: Json) -> None:
    """Raise StoreError if two headers are not of one commit, environment and machine."""
    mine, theirs = one.get("commit_hash"), other.get("commit_hash")
    if mine != theirs:
        raise StoreError(
            f"commits {mine} and {theirs} share their first 8 digits, by which the store files "
            "them; the second cannot be stored beside the first"
        )
    for what, a, b in (
        ("environment", one.get("env_name"), other.get("env_name")),
        ("machine", one["params"].get("machine"), other["params"].get("machine")),
    ):
        if a != b:
            raise StoreError(f"results of {what} {b!r} do not belong into a file of {a!r}")


def _restamped(row: Row, old: Row) -> dict[Combination, Cell]:
    cells = dict(row.cells)
    for combination, before in old.cells.items():
        cell = cells.get(combination)
        if cell is None:
            continue
        if canonical(cell.columns) == canonical(before.columns):
            cells[combination] = before
        elif cell.started_at <= before.started_at:
            cells[combination] = replace(cell, started_at=before.started_at + 1)
    # A combination that was never asked for comes back from asv as NaN: it is still absent.
    for combination in set(itertools.product(*old.axes)) - old.cells.keys():
        cell = cells.get(combination)
        if cell is not None and list(cell.columns) == ["result"] and not cell.is_good:
            del cells[combination]
    return cells


def _merge_any(
    one: Row | list[Any], other: Row | list[Any]
) -> tuple[Row | list[Any], Row | list[Any] | None]:
    """The row to keep, and the one it pushes out, if any."""
    if isinstance(one, Row) and isinstance(other, Row):
        if one.is_comparable(other):
            return merge_rows(one, other), None
        older, newer = sorted((one, other), key=lambda row: row.order)
        return newer, older
    if isinstance(one, Row):
        return one, other
    if isinstance(other, Row):
        return other, one
    if canonical(one) == canonical(other):
        return one, None
    older, newer = sorted((one, other), key=canonical)
    return newer, older


def _header_order(document: Document) -> tuple[int, str]:
    newest = max((r.started_at for r in document.rows.values() if isinstance(r, Row)), default=0)
    rest = {key: value for key, value in document.header.items() if key != "durations"}
    return newest, canonical(rest)
