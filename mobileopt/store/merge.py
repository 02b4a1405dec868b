"""Merging two versions of one result file, without reading or writing anything.

Of two cells of the same combination and benchmark version the better is kept: a measured value
before a failed (null) or skipped (NaN) one, then the newer, then the one with more samples, then
an arbitrary but fixed one. That is a total order, so merging is commutative, associative and
idempotent there, and never loses a finite value. Rows of different versions do not mix: the
newer row stays and the older is handed back in `Merged.replaced`, for the caller to keep.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from mobileopt.errors import StoreError
from mobileopt.store.documents import Cell, Combination, Document, Json, Row, canonical


@dataclass(frozen=True)
class Merged:
    """A merged document, and the rows of other benchmark versions it has no place for."""

    document: Document
    replaced: Mapping[str, Row | list[Any]] = field(default_factory=dict[str, Row | list[Any]])


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
    return Row(
        axes,
        _latest(older, newer, "version"),
        newer.started_at,
        cells,
        _latest(older, newer, "duration"),
        _latest(older, newer, "profile"),
    )


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


def _latest(older: Row, newer: Row, column: str) -> Any:
    """What a merged row keeps of a column it has once: the newer row's, if it has one."""
    before, after = getattr(older, column), getattr(newer, column)
    if before is None or after is None:
        return before if after is None else after
    if older.started_at == newer.started_at:
        return max(before, after, key=canonical)
    return after


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
