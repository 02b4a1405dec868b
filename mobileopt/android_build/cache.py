"""The built binaries, each under the key of all that made it, with a manifest beside it.

    CACHE/binaries/KEY/manifest.json                       replaced last, in one step
    CACHE/binaries/KEY/SHA256[:12]/speed_benchmark_torch
    CACHE/sources/TAG-REPOSITORY/                          a clone
    CACHE/builds/KEY-RANDOM/                               a build under way, or one that failed
    CACHE/logs/KEY-DATE.log
    CACHE/locks/

A manifest names its binary by digest, so a build that is killed at any moment leaves either the
old pair or the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

from mobileopt.artifact import digest
from mobileopt.errors import ArtifactError, BuildError, MobileoptError, OutputError

BINARY = "speed_benchmark_torch"
MANIFEST = "manifest.json"
SCHEMA = 1
FOLDERS = ("binaries", "sources", "builds", "logs", "locks")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Key:
    """All that decides what a binary is; two builds of one key are interchangeable.

    `modified` sources are no one's but the moment's: such a binary is kept, never reused.
    """

    commit: str
    tag: str | None
    modified: bool
    ndk: str
    abi: str
    flavour: str
    vulkan: bool
    defines: tuple[str, ...]

    @property
    def name(self) -> str:
        """One folder's name: readable, and different for different keys."""
        source = f"{self.tag}-{self.commit[:12]}" if self.tag else self.commit[:12]
        flags = hashlib.sha256("\0".join(self.defines).encode()).hexdigest()[:8]
        parts = [
            source + ("+modified" if self.modified else ""),
            f"ndk{self.ndk}",
            self.abi,
            self.flavour,
            *(["vulkan"] if self.vulkan else []),
            *([flags] if self.defines else []),
        ]
        return "_".join(parts)


@dataclass(frozen=True)
class Entry:
    """A binary in the cache and its manifest: size in bytes, `built` as ISO 8601 in UTC.

    `machine` is read from the binary, `seconds` is the time the build took, `log` a file's name.
    """

    key: Key
    sha256: str
    size: int
    machine: str
    built: str
    seconds: float
    log: str
    versions: Mapping[str, str]
    folder: Path

    @property
    def path(self) -> Path:
        """The binary."""
        return self.folder / self.sha256[:12] / BINARY


class Cache:
    """A folder of binaries. Raises OutputError when it cannot be written."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def folder(self, name: str) -> Path:
        """One of FOLDERS, made if need be."""
        folder = self.root / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.root, error) from error
        return folder

    @contextlib.contextmanager
    def locked(self, name: str, doing: str) -> Iterator[None]:
        """Hold the lock of a key or a source; raises BuildError when another process does."""
        path = self.folder("locks") / f"{name}.lock"
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise BuildError(
                f"another process is {doing}; wait for it to end, or stop it (lock: {path})"
            ) from error
        except OSError as error:
            raise _unwritable(self.root, error) from error
        try:
            yield
        finally:
            lock.release()

    def attempt(self, key: Key) -> Path:
        """A fresh folder to build `key` in; what earlier builds of it left is removed.

        Fresh, not emptied: a compiler that outlives a killed build writes into the old one.
        """
        self.discard(key)
        try:
            return Path(tempfile.mkdtemp(prefix=f"{key.name}-", dir=self.folder("builds")))
        except OSError as error:
            raise _unwritable(self.root, error) from error

    def discard(self, key: Key) -> None:
        """Remove the folders that builds of `key` left."""
        for folder in self.folder("builds").iterdir():
            if folder.name.rpartition("-")[0] == key.name:
                shutil.rmtree(folder, ignore_errors=True)

    def find(self, key: Key) -> Entry | None:
        """The binary of `key`, whole; None when there is none or its sources were modified.

        Raises ArtifactError when there is one that is not what its manifest says.
        """
        folder = self.root / "binaries" / key.name
        if key.modified or not (folder / MANIFEST).exists():
            return None
        entry = read(folder)
        if entry.key != key:  # same name, another commit: its first twelve digits only are in it
            raise ArtifactError(f"{folder} holds a binary of another key")
        return entry

    def put(self, binary: Path, entry: Entry) -> Entry:
        """Copy a binary into the cache and write its manifest, as one step for any reader."""
        folder = self.folder("binaries") / entry.key.name
        kept = replace(entry, folder=folder)
        try:
            kept.path.parent.mkdir(parents=True, exist_ok=True)
            _copy(binary, kept.path)
            _write(folder / MANIFEST, _manifest(kept))
        except OSError as error:
            raise _unwritable(folder, error) from error
        _tidy(folder, kept)
        return kept

    def entries(self) -> tuple[tuple[Path, Entry | MobileoptError], ...]:
        """All folders of binaries, by name: each with its entry, or why it has none."""
        try:
            folders = sorted((self.root / "binaries").iterdir())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise OutputError(f"{self.root} cannot be read: {error.strerror}") from error
        kept = [each for each in folders if (each / MANIFEST).exists()]
        return tuple((each, _read_or_say(each)) for each in kept)


def read(folder: Path) -> Entry:
    """Read a manifest and check the binary against it; raises ArtifactError."""
    path = folder / MANIFEST
    try:
        entry = _parse(folder, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ArtifactError(f"{path} cannot be read as a manifest: {error!r}") from error
    binary = entry.path
    if binary.is_symlink() or not binary.is_file():
        raise ArtifactError(f"{binary} is missing; {path} names it")
    if binary.stat().st_size != entry.size or digest(binary) != entry.sha256:
        raise ArtifactError(f"{binary} is not the binary its manifest describes")
    return entry


def as_json(entry: Entry) -> dict[str, Any]:
    """The manifest with the path of its binary, for a machine."""
    return _manifest(entry) | {"path": str(entry.path)}


def _tidy(folder: Path, kept: Entry) -> None:
    """Remove the binary that was replaced, and what a killed process left half written."""
    current = kept.path.parent
    for old in folder.iterdir():
        if old.is_dir() and old != current:
            shutil.rmtree(old, ignore_errors=True)
    for part in (*folder.glob(".part-*"), *current.glob(".part-*")):
        part.unlink(missing_ok=True)


def _read_or_say(folder: Path) -> Entry | MobileoptError:
    try:
        return read(folder)
    except ArtifactError as error:
        return error


def _manifest(entry: Entry) -> dict[str, Any]:
    manifest = asdict(entry) | {"schema": SCHEMA}
    del manifest["folder"]
    return manifest


def _parse(folder: Path, document: Any) -> Entry:
    manifest = cast(dict[str, Any], document)
    if manifest["schema"] != SCHEMA:
        raise ValueError(f"schema {manifest['schema']!r} is not {SCHEMA}")
    key = manifest["key"]
    entry = Entry(
        key=Key(**key | {"defines": tuple(key["defines"])}),
        sha256=str(manifest["sha256"]),
        size=int(manifest["size"]),
        machine=str(manifest["machine"]),
        built=datetime.fromisoformat(manifest["built"]).isoformat(),
        seconds=float(manifest["seconds"]),
        log=str(manifest["log"]),
        versions={str(name): str(text) for name, text in manifest["versions"].items()},
        folder=folder,
    )
    # Both become part of a path.
    if not _SHA256.fullmatch(entry.sha256) or not _NAME.fullmatch(entry.log):
        raise ValueError("its sha256 or its log is not a plain name")
    if entry.key.name != folder.name:
        raise ValueError("it is of another key than its folder")
    return entry


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as data, _replacing(target) as file:
        shutil.copyfileobj(data, file)
        os.fchmod(file.fileno(), 0o755)


def _write(target: Path, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    with _replacing(target) as file:
        file.write(text.encode())
        os.fchmod(file.fileno(), 0o644)


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Any]:
    """A file that takes `target`'s place when it is whole and on the disk, or not at all."""
    handle, name = tempfile.mkstemp(prefix=".part-", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder} cannot be written: {error.strerror or error}")
