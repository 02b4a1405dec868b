"""One result file and its side-car: merged into under the lock of its machine's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mobileopt.errors import StoreError
from mobileopt.store import documents, files, merge
from mobileopt.store.documents import API_VERSION, Document, Row
from mobileopt.store.files import DamagedFileError, Json
from mobileopt.store.layout import BENCHMARKS, MACHINE, sidecar


def merge_into(path: Path, document: Document, removed: Mapping[str, int] | None = None) -> bool:
    """Merge a document into a file under the caller's lock; returns whether it changed.

    Rows of another benchmark version that have to make room go to the side-car first.
    """
    stored = read_or_quarantine(path)
    check_commit(path, document.header["commit_hash"], stored)
    if stored is None:
        merged = merge.Merged(document)
    else:
        merged = merge.merge(merge.without(documents.parse(stored), removed or {}), document)
    out = documents.dump(merged.document)
    if stored is not None and documents.canonical(out) == documents.canonical(stored):
        return False
    records = [_replaced_record(name, row) for name, row in merged.replaced.items()]
    record(path, records)
    files.replace(path, json.dumps(out))
    return True


def read_or_quarantine(path: Path) -> Json | None:
    """A file's JSON, or None if there is none or it was damaged. The caller holds the lock."""
    try:
        stored = files.read_json(path)
        if path.name not in (MACHINE, BENCHMARKS):
            _check_version(path, stored)
            documents.check(stored)
    except FileNotFoundError:
        return None
    except (DamagedFileError, documents.FormatError) as error:
        files.quarantine(path, str(error))
        return None
    return stored


def _check_version(path: Path, stored: Json) -> None:
    # A newer asv's file is not damaged: it must neither be moved nor written over.
    version = stored.get("version")
    if isinstance(version, int) and version != API_VERSION:
        hint = "run `asv update`" if version < API_VERSION else "update mobileopt"
        raise StoreError(f"{path} is of format {version}, {API_VERSION} is written; {hint}")


def check_commit(path: Path, commit: str, stored: Json | None) -> None:
    """Raise StoreError if the machine holds another commit under the same 8 digits."""
    others = [stored] if stored is not None else _siblings(path)
    for other in others:
        if other.get("commit_hash") != commit:
            raise StoreError(
                f"commit {commit} cannot be stored: {path.parent} already holds "
                f"{other.get('commit_hash')}, whose first 8 digits, all that asv files a "
                "commit by, are the same"
            )


def _siblings(path: Path) -> Iterator[Json]:
    for sibling in path.parent.glob(f"{path.name[:8]}-*.json"):
        try:
            yield files.read_json(sibling)
        except (FileNotFoundError, DamagedFileError):
            continue


def record(path: Path, records: list[Json]) -> None:
    """Add to a file's side-car what it does not hold yet."""
    files.append_lines(sidecar(path), _unrecorded(path, records))


def _unrecorded(path: Path, records: list[Json]) -> list[Json]:
    """The records the side-car does not hold yet, each once."""
    if not records:
        return []
    # A side-car grows with every run: only the lines that could be one of these are parsed.
    texts = {json.dumps(record.get("run", record.get("kind"))) for record in records}
    stored = {_identity(record) for record in files.read_lines(sidecar(path), texts)}
    fresh = {_identity(record): record for record in records}
    return [record for key, record in fresh.items() if key not in stored]


def _identity(record: Json) -> str:
    if record.get("kind") != "run":
        return documents.canonical(files.strict(record))
    keys = ("run", "benchmark", "version", "combination")
    return documents.canonical([record.get(key) for key in keys])


def _replaced_record(name: str, row: Row | list[Any]) -> Json:
    values = documents.dump_row(row)[0] if isinstance(row, Row) else row
    columns = dict(zip(documents.COLUMNS, values, strict=False))
    return {"kind": "replaced", "benchmark": name, "row": columns}
