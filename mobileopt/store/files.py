"""Files that are whole or absent: atomic replacement, durable lines, locks and quarantine.

asv reads everything below the results folder whose name ends in `.json`; every other file of
the store therefore ends in something else.
"""

from __future__ import annotations

import json
import math
import os
import stat
import tempfile
import time
import warnings
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

import orjson
from filelock import FileLock, Timeout

from mobileopt.errors import StoreError

LOCK = ".lock"
TEMPORARY = ".tmp"
_SAVING = ".save-"
LOCK_TIMEOUT = 120.0
"""Seconds to wait for a writer; a save takes milliseconds, so this is a stuck one."""
_ABANDONED = 3600.0

Json = dict[str, Any]


class StoreWarning(UserWarning):
    """A file of the store was skipped or moved aside; the message says which and why."""


class DamagedFileError(StoreError):
    """A file is not what its name says it is."""


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold a folder's lock across processes and threads; creates the folder.

    The kernel drops the lock with the process that holds it, so a killed writer blocks nobody.
    What it left half written is removed here. Raises StoreError after LOCK_TIMEOUT.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=LOCK_TIMEOUT)
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"{folder} has been locked by another process for {LOCK_TIMEOUT:g} s; "
            "end that process and try again"
        ) from error
    except OSError as error:
        raise StoreError(f"{folder} cannot be locked for writing: {error}") from error
    try:
        # Only the holder of the lock writes here: what is half written has lost its writer.
        _remove_leftovers(folder)
        yield
    finally:
        lock.release()


def replace(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash at any moment, finds the old one or the new.

    Raises StoreError, with the old file untouched, when it cannot be written.
    """
    try:
        _replace(path, lambda file: file.write(text.encode()), durable=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error


def keep(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file of a cache, which any number of processes may write, whole or not at all.

    A folder that cannot be written costs time, not the result. What killed processes left there
    goes once it is an hour old.
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent, older=time.time() - _ABANDONED)
        _replace(path, write, durable=False)


def _replace(path: Path, write: Callable[[IO[bytes]], object], *, durable: bool) -> None:
    descriptor, name = tempfile.mkstemp(TEMPORARY, _SAVING, path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _mode(path))
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105 - the name is a string, not a Path
    except BaseException:
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise
    if durable:
        _sync_folder(path.parent)


def append_lines(path: Path, records: list[Json]) -> None:
    """Append one JSON line a record and make them durable. The caller holds the lock.

    A line a crash has torn is closed first, so that it costs one record and never two.
    Raises StoreError when the file cannot be written.
    """
    if not records:
        return
    text = "".join(json.dumps(strict(each), sort_keys=True, default=str) + "\n" for each in records)
    try:
        is_new = not path.exists()
        with path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    text = "\n" + text
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be appended to: {error.strerror or error}") from error


def read_lines(path: Path, containing: Collection[str] = ("",)) -> list[Json]:
    """The records of a file of JSON lines, in order; a torn line is skipped with a StoreWarning.

    Only lines with one of the texts in `containing` are parsed.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    records: list[Json] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line or not any(text in line for text in containing):
            continue
        record = parse_line(line)
        if record is None:
            warn(f"{path}:{number} is not a whole record and was skipped")
        else:
            records.append(record)
    return records


def parse_line(line: str) -> Json | None:
    """The record of one line of a file of JSON lines; None when it is torn."""
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast(Json, record) if isinstance(record, dict) else None


def read_json(path: Path) -> Json:
    """Read a file holding one JSON object, NaN allowed as asv writes it.

    Raises DamagedFileError for anything else and FileNotFoundError when it is absent.
    """
    try:
        content = path.read_bytes()
        try:
            loaded: Any = orjson.loads(content)
        except orjson.JSONDecodeError:
            loaded = json.loads(content.decode("utf-8"))  # NaN, and integers of any length
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise DamagedFileError(f"{path} holds no JSON object")
    return cast(Json, loaded)


def quarantine(path: Path, reason: str) -> Path:
    """Move a damaged file to a name beside it that asv ignores, with a StoreWarning."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    path.replace(aside)
    _sync_folder(path.parent)
    warn(f"{reason}; it was moved to {aside.name}")
    return aside


def warn(message: str) -> None:
    """Issue a StoreWarning."""
    warnings.warn(message, StoreWarning, stacklevel=2)


def _mode(path: Path) -> int:
    # mkstemp makes a file only its owner reads; a store is shared with whoever publishes it.
    with suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    return 0o644


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(folder: Path, older: float = math.inf) -> None:
    for path in folder.glob(f"{_SAVING}*{TEMPORARY}"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < older:
                path.unlink()


def strict(value: Any) -> Any:
    """A value any reader of JSON takes: NaN and infinity, which are not JSON, become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): strict(each) for key, each in cast(Json, value).items()}
    if isinstance(value, list | tuple):
        return [strict(each) for each in cast("list[Any]", value)]
    return value
