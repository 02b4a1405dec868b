"""A result file of asv's as values: rows of benchmarks, cells of parameter combinations.

A row of asv's format is lists over the product of its parameters, with one `started_at` for all
of them. Two writers measure different combinations at different times, so each *cell* here has
its own, kept under `mobileopt` in the file (asv ignores the key) where it differs from the row's.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
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
    def order(self) -> tuple[int, int, str]:
        """What decides which of two rows comes first: the newer, then the one with more values,
        which a row merged from both is, so that merging again changes nothing."""
        values = sum(map(len, self.axes))
        return (self.started_at, values, canonical([self.axes, self.version]))

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
