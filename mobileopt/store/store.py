"""The store itself: a folder in asv's format that several processes may write at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobileopt.errors import StoreError
from mobileopt.store import (
    asv_failures,
    documents,
    files,
    merge,
    names,
    registry,
    result_file,
)
from mobileopt.store.asv_format import file_name, serialize, to_document
from mobileopt.store.documents import Document
from mobileopt.store.entry import Entry
from mobileopt.store.files import Json
from mobileopt.store.layout import (
    BENCHMARKS,
    EXTERNAL,
    MACHINE,
    MACHINE_VERSION,
    SIDECAR,
    result_files,
    sidecar,
    write_versioned,
)

if TYPE_CHECKING:
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - it ships none

    from mobileopt.series import Series
    from mobileopt.store.problems import Problem


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
        listed = {
            each.benchmark.name: each.benchmark.to_asv() | {EXTERNAL: True} for each in entries
        }
        registry.add(self.path, listed)
        changed = 0
        for machine, group in _grouped(entries, _machine_of):
            with self._locked(machine) as folder:
                fields = _machine_fields(folder, group[0].machine)
                for name, batch in _grouped(group, _file_of):
                    document = _combined(to_document(entry, fields) for entry in batch)
                    changed += result_file.merge_into(folder / name, document)
                    result_file.record(folder / name, [entry.to_record() for entry in batch])
        return changed

    def merge(self, other: Store | str | Path) -> int:
        """Merge another store, such as a staged run, into this one; returns the files changed.

        The other store is left as it is: merging it again changes nothing. Its machines and
        benchmarks are taken over where this store has none of their name. Raises StoreError
        naming the files that are damaged or cannot be stored, once all others are merged.
        """
        source = other if isinstance(other, Store) else Store(other)
        refused: list[StoreError] = []
        with _collecting(refused):
            self._take_benchmarks(source)
        changed = 0
        for folder in source.machines():
            with _collecting(refused):
                changed += self._merge_machine(folder, refused)
        if refused:
            more = f", and {len(refused) - 1} more like this" if len(refused) > 1 else ""
            raise StoreError(f"{source.path} was merged all but this: {refused[0]}{more}")
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

    def benchmarks(self) -> Mapping[str, Json]:
        """What `benchmarks.json` says of each benchmark; none where it is missing or damaged."""
        return registry.read(self.path)

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
        with the `started_at` they had. Why a benchmark failed, which asv forgets, goes to the
        side-car.
        """
        machine = names.check_machine(Path(results._filename).parent.name)
        names.check_environment(results.env_name)
        names.check_commit(results.commit_hash)
        document = documents.parse(serialize(results))
        before = None if base is None else documents.parse(base)
        failures = list(asv_failures.records(results, document, before))
        if before is not None:
            document = merge.restamp(document, before)
        with self._locked(machine) as folder:
            name = file_name(results.commit_hash, results.env_name)
            result_file.merge_into(folder / name, document, removed)
            result_file.record(folder / name, failures)

    def save_machine(self, fields: Mapping[str, Any]) -> None:
        """Write a machine's fields, replacing what is there."""
        with self._locked(str(fields["machine"])) as folder:
            write_versioned(folder / MACHINE, fields, MACHINE_VERSION)

    def save_benchmarks(self, discovered: Mapping[str, Json]) -> None:
        """Write what asv discovered, keeping the benchmarks the store registered itself."""
        registry.save(self.path, discovered)

    def prepare(self, machine: str, commit: str, environment: str) -> Json | None:
        """A result file's JSON if there is one; moves a damaged one out of asv's way.

        Raises StoreError if it holds another commit with the same first 8 digits.
        """
        path = self.path / names.check_machine(machine) / file_name(commit, environment)
        if not path.parent.is_dir():
            return None
        with self._locked(machine):
            stored = result_file.read_or_quarantine(path)
            result_file.check_commit(path, commit, stored)
            return stored

    def _take_benchmarks(self, source: Store) -> None:
        if (source.path / BENCHMARKS).is_file():
            registry.add(self.path, registry.of_another(source.path))

    def _merge_machine(self, folder: Path, refused: list[StoreError]) -> int:
        changed = 0
        machine = files.read_json(folder / MACHINE)
        with self._locked(folder.name) as target:
            _machine_fields(target, machine)
            for path in result_files(folder):
                with _collecting(refused):
                    changed += _take(path, target / path.name)
        return changed

    @contextmanager
    def _locked(self, machine: str) -> Generator[Path]:
        folder = self.path / names.check_machine(machine)
        if folder.is_symlink():
            raise StoreError(f"{folder} is a link; results are only written inside {self.path}")
        with files.locked(folder):
            yield folder


@contextmanager
def _collecting(refused: list[StoreError]) -> Generator[None]:
    """Set aside why one thing was not stored, so that the others are."""
    try:
        yield
    except StoreError as error:
        refused.append(error)


def _take(path: Path, target: Path) -> bool:
    """Merge one file of another store and its side-car; whether that changed the target."""
    try:
        document = documents.parse(files.read_json(path))
    except documents.FormatError as error:
        raise StoreError(f"{path} is {error}") from error
    changed = result_file.merge_into(target, document)
    result_file.record(target, files.read_lines(sidecar(path)))
    return changed


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
    stored = result_file.read_or_quarantine(folder / MACHINE)
    if stored is None:
        stored = dict(fields)
        write_versioned(folder / MACHINE, stored, MACHINE_VERSION)
    if stored.get("machine") != folder.name:
        raise StoreError(
            f"{folder / MACHINE} is of machine {stored.get('machine')!r}, not of its folder's"
        )
    return {key: value for key, value in stored.items() if key != "version"}
