"""Everything a nightly has decided, a line each, so that nothing is decided or told twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mobileopt.store import files

Record = dict[str, Any]


class Ledger:
    """A file of JSON lines that only grows. The nightly's lock is its writer's lock.

    A record is durable when `add` returns; a line that a crash has torn costs that line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._records: list[Record] = files.read_lines(path)

    def add(self, kind: str, **fields: Any) -> Record:
        """Write a record and return it."""
        record = {"kind": kind, **fields}
        files.append_lines(self.path, [record])
        self._records.append(record)
        return record

    def of(self, kind: str, **fields: Any) -> Iterator[Record]:
        """The records of a kind with these fields, oldest first."""
        for record in self._records:
            if record.get("kind") == kind and all(record.get(k) == v for k, v in fields.items()):
                yield record

    def last(self, kind: str, **fields: Any) -> Record | None:
        """The newest record of a kind with these fields."""
        found = None
        for found in self.of(kind, **fields):  # noqa: B007 - the last one is wanted
            pass
        return found
