"""What is wrong with a store, found without changing it."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from mobileopt.errors import StoreError
from mobileopt.store import documents, files, names
from mobileopt.store.files import DamagedFileError, Json
from mobileopt.store.layout import BENCHMARKS, MACHINE, SIDECAR, result_files

_PREFIX = re.compile(r"([0-9a-f]{8})-.+\.json")


class Kind(StrEnum):
    """What a problem is about."""

    DAMAGED = "damaged"
    """A file is not JSON, or not a result file."""
    VERSION = "version"
    """A file is of another version of asv's format."""
    MISSING_MACHINE = "missing-machine"
    """Results without a machine.json: asv skips them all."""
    COLLISION = "collision"
    """Two commits share their first 8 digits."""
    MISPLACED = "misplaced"
    """A file's name or folder does not say what is in it."""
    MISFIT = "misfit"
    """A row's lists are not as long as the product of its parameters."""
    HIDDEN = "hidden"
    """Results of a benchmark, or a version of it, that benchmarks.json does not list."""
    TORN = "torn"
    """A line of a side-car that a crash has cut off: one record is lost."""
    QUARANTINED = "quarantined"
    """A damaged file that was moved aside and still waits for somebody."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong: its kind, the file, and a sentence."""

    path: Path
    kind: Kind
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}: {self.detail}"


def find(root: Path) -> list[Problem]:
    """Every problem of a store, in order of path. Raises StoreError if there is no store."""
    if not root.is_dir():
        raise StoreError(f"{root} is not a folder of results")
    return sorted(set(_problems(root)))


def _problems(root: Path) -> Iterator[Problem]:
    listed: Json | None = yield from _json_problems(root / BENCHMARKS, 2)
    versions = None if listed is None else _versions(listed)
    commits: dict[str, tuple[str, Path]] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if folder.name.startswith("."):
            continue
        yield from _machine_problems(folder)
        for path in result_files(folder):
            document: Json | None = yield from _json_problems(path, documents.API_VERSION)
            if document is not None:
                yield from _result_problems(path, document, versions)
                yield from _collisions(path, document, commits)
        for path in folder.glob(f"*{SIDECAR}"):
            yield from _torn_lines(path)
        for path in folder.glob("*.damaged-*"):
            yield Problem(path, Kind.QUARANTINED, "was moved aside; restore or delete it")


def _torn_lines(path: Path) -> Iterator[Problem]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        yield Problem(path, Kind.DAMAGED, f"cannot be read: {error.strerror}")
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line and files.parse_line(line) is None:
            yield Problem(path, Kind.TORN, f"line {number} is not a whole record; delete it")


def _versions(listed: Json) -> dict[str, Any]:
    return {
        name: cast(Json, benchmark).get("version")
        for name, benchmark in listed.items()
        if isinstance(benchmark, dict)
    }


def _json_problems(path: Path, version: int) -> Generator[Problem, None, Json | None]:
    """Yield what is wrong with a file; returns its JSON if that much could be read."""
    try:
        document = files.read_json(path)
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        yield Problem(path, Kind.DAMAGED, str(error))
        return None
    if document.get("version") != version:
        found = document.get("version")
        yield Problem(path, Kind.VERSION, f"version {found!r}, {version} is understood")
        return None
    return document


def _machine_problems(folder: Path) -> Iterator[Problem]:
    path = folder / MACHINE
    if not path.is_file():
        if result_files(folder):
            yield Problem(path, Kind.MISSING_MACHINE, "asv skips every result of this folder")
        return
    fields: Json | None = yield from _json_problems(path, 1)
    if fields is not None and fields.get("machine") != folder.name:
        yield Problem(path, Kind.MISPLACED, f"is of machine {fields.get('machine')!r}")


def _result_problems(
    path: Path, document: Json, versions: dict[str, Any] | None
) -> Iterator[Problem]:
    try:
        documents.check(document)
        commit = names.check_commit(document["commit_hash"])
    except StoreError as error:
        yield Problem(path, Kind.DAMAGED, str(error))
        return
    machine, prefix = document["params"].get("machine"), _PREFIX.fullmatch(path.name)
    if machine != path.parent.name:
        yield Problem(path, Kind.MISPLACED, f"is of machine {machine!r}")
    if prefix is None or prefix[1] != commit[:8]:
        yield Problem(path, Kind.MISPLACED, f"is of commit {commit}")
    for name, values in document["results"].items():
        row = dict(zip(document["result_columns"], values, strict=False))
        yield from _row_problems(path, name, row, versions)


def _row_problems(
    path: Path, name: str, row: Json, versions: dict[str, Any] | None
) -> Iterator[Problem]:
    try:
        documents.check_row(row)
    except documents.MisfitError as error:
        yield Problem(path, Kind.MISFIT, f"{name}: {error}")
    version = row.get("version")
    if versions is not None and version not in (None, versions.get(name)):
        listed = versions.get(name)
        what = f"benchmarks.json lists version {listed}" if listed else "is not listed"
        yield Problem(path, Kind.HIDDEN, f"{name} of version {version}: {what}")


def _collisions(
    path: Path, document: Json, commits: dict[str, tuple[str, Path]]
) -> Iterator[Problem]:
    commit = str(document.get("commit_hash"))
    first, where = commits.setdefault(commit[:8], (commit, path))
    if first != commit:
        detail = f"{commit} shares its first 8 digits with {first} in {where}"
        yield Problem(path, Kind.COLLISION, detail)
