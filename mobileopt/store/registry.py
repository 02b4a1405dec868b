"""The benchmarks a store lists, `benchmarks.json`: what asv may show, and how it is called."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from mobileopt.errors import StoreError
from mobileopt.store import documents, files
from mobileopt.store.files import DamagedFileError, Json
from mobileopt.store.layout import BENCHMARKS, BENCHMARKS_VERSION, EXTERNAL, write_versioned
from mobileopt.store.result_file import read_or_quarantine


def read(root: Path) -> dict[str, Json]:
    """The benchmarks by name; none, with a StoreWarning, when the file is damaged."""
    try:
        stored = files.read_json(root / BENCHMARKS)
    except FileNotFoundError:
        return {}
    except StoreError as error:
        files.warn(f"{error}; units and the names of parameters are unknown")
        return {}
    return {name: cast(Json, value) for name, value in stored.items() if isinstance(value, dict)}


def of_another(root: Path) -> dict[str, Json]:
    """The benchmarks that another store lists; raises StoreError naming one that is damaged."""
    stored = files.read_json(root / BENCHMARKS)
    return {name: _sound(root, name, value) for name, value in stored.items() if name != "version"}


def add(root: Path, wanted: Mapping[str, Json]) -> None:
    """List benchmarks the store lacks, and new parameters of those it registered itself."""
    path = root / BENCHMARKS
    with suppress(FileNotFoundError, DamagedFileError):
        if not _news(files.read_json(path), wanted):
            return
    with files.locked(root):
        stored = read_or_quarantine(path) or {}
        write_versioned(path, stored | _news(stored, wanted), BENCHMARKS_VERSION)


def save(root: Path, discovered: Mapping[str, Json]) -> None:
    """Write what asv discovered, keeping the benchmarks the store registered itself."""
    with files.locked(root):
        stored = read_or_quarantine(root / BENCHMARKS) or {}
        kept = {
            name: value
            for name, value in stored.items()
            if EXTERNAL in _object(value) and name not in discovered
        }
        write_versioned(root / BENCHMARKS, kept | dict(discovered), BENCHMARKS_VERSION)


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


def _sound(root: Path, name: str, value: Any) -> Json:
    benchmark = _object(value)
    try:
        params, _version = benchmark["params"], benchmark["version"]
        axes = documents.parse_axes(params)
    except (KeyError, documents.MisfitError) as error:
        where = root / BENCHMARKS
        raise StoreError(f"{name[:80]} of {where} lacks its version or parameters") from error
    return benchmark | {"params": [list(axis) for axis in axes]}


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
