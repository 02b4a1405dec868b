"""The store itself: a folder in asv's format that several processes may write at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mobileopt.errors import StoreError
from mobileopt.store import documents, files, merge, names
from mobileopt.store.asv_format import file_name, serialize, to_document
from mobileopt.store.documents import API_VERSION, Document, Row
from mobileopt.store.entry import Benchmark, Entry
from mobileopt.store.files import DamagedFileError, Json

if TYPE_CHECKING:
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - it ships none

    from mobileopt.series import Series
    from mobileopt.store.problems import Problem

MACHINE = "machine.json"
BENCHMARKS = "benchmarks.json"
MACHINE_VERSION = 1
BENCHMARKS_VERSION = 2
SIDECAR = ".jsonl"
EXTERNAL = "external"
"""Marks a benchmark the store registered itself: a discovery of asv's does not drop it."""


class Store:
    """A folder of results in asv's format: `asv show`, `compare` and `publish` read it as is.

    Every write is atomic, durable, and made under the machine's lock by merging into what is
    there at that moment. A failure never replaces a value of the same benchmark version.

    >>> Store("results").add(entry)                              # doctest: +SKIP
    >>> staging = Store("build/staging"); staging.add(entry)     # doctest: +SKIP
    >>> Store("results").merge(staging)                          # doctest: +SKIP
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def add(self, *entries: Entry) -> int:
        """Store runs; returns how many result files changed. Entries of one file cost one write.

        A run already stored changes nothing. A damaged file in the way is moved aside with a
        StoreWarning. Raises StoreError if another commit with the same first 8 digits is
        stored, or if the folder cannot be locked or written; nothing is then half written.
        """
        self._register({entry.benchmark.name: entry.benchmark for entry in entries}.values())
        changed = 0
        for machine, group in _grouped(entries, _machine_of):
            with self._locked(machine) as folder:
                fields = _machine_fields(folder, group[0].machine)
                for name, batch in _grouped(group, _file_of):
                    document = _combined(to_document(entry, fields) for entry in batch)
                    changed += merge_into(folder / name, document)
                    _record(folder / name, [entry.to_record() for entry in batch])
        return changed

    def merge(self, other: Store | str | Path) -> int:
        """Merge another store, such as a staged run, into this one; returns the files changed.

        The other store is left as it is: merging it again changes nothing. Its machines and
        benchmarks are taken over where this store has none of their name.
        """
        source = other if isinstance(other, Store) else Store(other)
        self._take_benchmarks(source)
        changed = 0
        for folder in source.machines():
            machine = files.read_json(folder / MACHINE)
            with self._locked(folder.name) as target:
                _machine_fields(target, machine)
                for path in result_files(folder):
                    document = documents.parse(files.read_json(path))
                    changed += merge_into(target / path.name, document)
                    _record(target / path.name, files.read_lines(sidecar(path)))
        return changed

    def frame(self, *, samples: bool = False) -> pd.DataFrame:
        """Every stored combination as one row of a pandas frame; see `mobileopt.store.frame`."""
        from mobileopt.store.frame import read

        return read(self.path, samples=samples)

    def series(self, order: Sequence[str] = (), *, samples: bool = False) -> list[Series]:
        """Every series of the store, in the `order` of commits given, oldest first.

        Without an order the commits' dates decide; see `mobileopt.store.histories`.
        """
        from mobileopt.store.histories import histories

        return histories(self.frame(samples=samples), order)

    def verify(self) -> list[Problem]:
        """Everything wrong with the store, in the order of its files; empty when all is well."""
        from mobileopt.store.problems import find

        return find(self.path)

    def runs(self) -> Iterator[Json]:
        """The side-cars' records, oldest first a file, with their `machine` and `file` added.

        `kind` is `run` (run, benchmark, version, combination, started_at, reason, context) or
        `replaced` (a row of another benchmark version that had to make room).
        """
        for folder in self.machines():
            for path in sorted(folder.glob(f"*{SIDECAR}")):
                for record in files.read_lines(path):
                    yield record | {"machine": folder.name, "file": path.stem + ".json"}

    def machines(self) -> list[Path]:
        """The folders with a `machine.json`, in order of name."""
        return sorted(path.parent for path in self.path.glob(f"*/{MACHINE}"))

    def save_results(self, results: Any, base: Json | None, removed: Mapping[str, int]) -> None:
        """Merge what asv is about to save: an `asv.results.Results`.

        `base` is the file it was read from, `removed` are benchmarks taken out of it since,
        with the `started_at` they had.
        """
        machine = names.check_machine(Path(results._filename).parent.name)
        names.check_environment(results.env_name)
        names.check_commit(results.commit_hash)
        document = documents.parse(serialize(results))
        if base is not None:
            document = merge.restamp(document, documents.parse(base))
        with self._locked(machine) as folder:
            name = file_name(results.commit_hash, results.env_name)
            merge_into(folder / name, document, removed)

    def save_machine(self, fields: Mapping[str, Any]) -> None:
        """Write a machine's fields, replacing what is there."""
        with self._locked(str(fields["machine"])) as folder:
            _write_versioned(folder / MACHINE, fields, MACHINE_VERSION)

    def save_benchmarks(self, discovered: Mapping[str, Json]) -> None:
        """Write what asv discovered, keeping the benchmarks the store registered itself."""
        with files.locked(self.path):
            stored = _read_or_quarantine(self.path / BENCHMARKS) or {}
            kept = {
                name: value
                for name, value in stored.items()
                if EXTERNAL in _object(value) and name not in discovered
            }
            _write_versioned(self.path / BENCHMARKS, kept | dict(discovered), BENCHMARKS_VERSION)

    def prepare(self, machine: str, commit: str, environment: str) -> Json | None:
        """A result file's JSON if there is one; moves a damaged one out of asv's way.

        Raises StoreError if it holds another commit with the same first 8 digits.
        """
        path = self.path / names.check_machine(machine) / file_name(commit, environment)
        if not path.parent.is_dir():
            return None
        with self._locked(machine):
            stored = _read_or_quarantine(path)
            _check_commit(path, commit, stored)
            return stored

    @contextmanager
    def _locked(self, machine: str) -> Generator[Path]:
        folder = self.path / names.check_machine(machine)
        if folder.is_symlink():
            raise StoreError(f"{folder} is a link; results are only written inside {self.path}")
        with files.locked(folder):
            yield folder

    def _register(self, benchmarks: Iterable[Benchmark]) -> None:
        self._add_benchmarks({each.name: each.to_asv() | {EXTERNAL: True} for each in benchmarks})

    def _take_benchmarks(self, source: Store) -> None:
        path = source.path / BENCHMARKS
        if path.is_file():
            found = files.read_json(path)
            self._add_benchmarks(
                {name: value for name, value in found.items() if name != "version"}
            )

    def _add_benchmarks(self, wanted: Mapping[str, Json]) -> None:
        path = self.path / BENCHMARKS
        with suppress(FileNotFoundError, DamagedFileError):
            if not _news(files.read_json(path), wanted):
                return
        with files.locked(self.path):
            stored = _read_or_quarantine(path) or {}
            _write_versioned(path, stored | _news(stored, wanted), BENCHMARKS_VERSION)


def result_files(folder: Path) -> list[Path]:
    """The result files of a machine's folder, in order of name."""
    return sorted(path for path in folder.glob("*.json") if path.name != MACHINE)


def sidecar(path: Path) -> Path:
    """Where the runs behind a result file are recorded: its name with `.jsonl`."""
    return path.with_suffix(SIDECAR)


def merge_into(path: Path, document: Document, removed: Mapping[str, int] | None = None) -> bool:
    """Merge a document into a file under the caller's lock; returns whether it changed.

    Rows of another benchmark version that have to make room go to the side-car first.
    """
    stored = _read_or_quarantine(path)
    _check_commit(path, document.header["commit_hash"], stored)
    if stored is None:
        merged = merge.Merged(document)
    else:
        merged = merge.merge(merge.without(documents.parse(stored), removed or {}), document)
    out = documents.dump(merged.document)
    if stored is not None and documents.canonical(out) == documents.canonical(stored):
        return False
    records = [_replaced_record(name, row) for name, row in merged.replaced.items()]
    files.append_lines(sidecar(path), _unrecorded(path, records))
    files.replace(path, json.dumps(out))
    return True


def _combined(documents: Iterable[Document]) -> Document:
    total, *rest = documents
    for document in rest:
        total = merge.merge(total, document).document
    return total


def _machine_of(entry: Entry) -> str:
    return entry.machine["machine"]


def _file_of(entry: Entry) -> str:
    return file_name(entry.commit, entry.environment.name)


def _grouped(
    entries: Sequence[Entry], key: Callable[[Entry], str]
) -> Iterator[tuple[str, list[Entry]]]:
    for value, group in groupby(sorted(entries, key=key), key=key):
        yield value, list(group)


def _machine_fields(folder: Path, fields: Mapping[str, Any]) -> dict[str, str]:
    """The machine's stored fields; writes the given ones if there are none."""
    stored = _read_or_quarantine(folder / MACHINE)
    if stored is None:
        stored = dict(fields)
        _write_versioned(folder / MACHINE, stored, MACHINE_VERSION)
    if stored.get("machine") != folder.name:
        raise StoreError(
            f"{folder / MACHINE} is of machine {stored.get('machine')!r}, not of its folder's"
        )
    return {key: value for key, value in stored.items() if key != "version"}


def _write_versioned(path: Path, content: Mapping[str, Any], version: int) -> None:
    # asv's own layout of these two files, so that rewriting one shows no difference in git.
    text = json.dumps(dict(content) | {"version": version}, indent=4, sort_keys=True)
    files.replace(path, text)


def _news(stored: Json, wanted: Mapping[str, Json]) -> Json:
    """The wanted benchmarks that are not stored, or stored by us with fewer parameters."""
    news: Json = {}
    for name, benchmark in wanted.items():
        old = stored.get(name)
        if old is None:
            news[name] = benchmark
        elif EXTERNAL in _object(old) and EXTERNAL in benchmark:
            extended = benchmark | {"params": _extended(old, benchmark)}
            if extended != old:
                news[name] = extended
    return news


def _object(value: Any) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}


def _extended(old: Json, new: Json) -> list[list[str]]:
    """The parameters of a benchmark registered again: append-only within one version."""
    try:
        before = documents.parse_axes(old.get("params"))
    except documents.MisfitError:
        return new["params"]
    after: list[list[str]] = new["params"]
    if old.get("version") != new["version"] or len(before) != len(after):
        return after
    return [list(dict.fromkeys((*one, *two))) for one, two in zip(before, after, strict=True)]


def _read_or_quarantine(path: Path) -> Json | None:
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


def _check_commit(path: Path, commit: str, stored: Json | None) -> None:
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


def _record(path: Path, records: list[Json]) -> None:
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
