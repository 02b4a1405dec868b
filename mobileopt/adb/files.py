"""Files on a phone: push, pull, digest, space.

A file is pushed to `NAME.part`, hashed on the phone, and only then takes its name; the sync
protocol itself checks nothing, and reports a truncated file as whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from mobileopt.adb import phone as phone_module
from mobileopt.adb.phone import NOT_FOUND, WORK, Phone
from mobileopt.artifact import digest
from mobileopt.errors import (
    ConnectionLostError,
    DeadlineError,
    InputError,
    OutputError,
    PermanentDeviceError,
    StorageError,
    TransferError,
    TransientDeviceError,
)

SPARE = 32 << 20
"""Bytes left free on a phone: a full /data makes Android misbehave."""

SLOWEST = 1e6
"""Bytes a second of the slowest connection that is worth waiting for."""

PULL_LIMIT = 1 << 30
_AVAILABLE = re.compile(r"\s\d+\s+\d+\s+(\d+)\s+\d+%")


@dataclass(frozen=True)
class Pushed:
    """A file that is on the phone, whole; `skipped` when it was there already."""

    path: str
    sha256: str
    size: int
    skipped: bool


@dataclass(frozen=True)
class Pulled:
    """A file that came from the phone."""

    path: Path
    size: int


def push(
    phone: Phone,
    local: Path,
    remote: str,
    *,
    mode: int = 0o644,
    deadline: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Pushed:
    """Put a file on the phone, unless one of the same content is there.

    `remote` is an absolute path below WORK; `progress` is called with bytes as they go. The
    `deadline` in seconds allows for a connection as slow as SLOWEST.
    The old file stays until the new one is there, whole.

    Raises InputError for a path outside WORK or an unreadable local file, StorageError
    when there is no room or no right to write, TransferError when the phone holds other
    bytes than were sent, and what `shell` raises.
    """
    target = _inside(remote)
    size, wanted = _measure(local)
    if sha256(phone, target) == wanted:
        phone.check(["chmod", f"{mode:o}", target])
        return Pushed(target, wanted, size, skipped=True)
    phone.check(["mkdir", "-p", str(PurePosixPath(target).parent)])
    _make_room(phone, size)
    part = f"{target}.part"
    try:
        _send(phone, local, part, deadline or phone_module.DEADLINE + size / SLOWEST, progress)
        _verify(phone, part, wanted, size)
        phone.check(["chmod", f"{mode:o}", part])
        phone.check(["mv", "-f", part, target])
    except (ConnectionLostError, DeadlineError):
        raise  # nobody there to clean up; the next push starts the part anew
    except BaseException:
        with contextlib.suppress(TransientDeviceError, PermanentDeviceError):
            phone.shell(["rm", "-f", part], deadline=5)
        raise
    return Pushed(target, wanted, size, skipped=False)


def pull(phone: Phone, remote: str, local: Path, deadline: float = 600.0) -> Pulled:
    """Fetch a regular file; `local` appears only when it is complete.

    Raises StorageError when the phone has no such file or it is not a regular one,
    TransferError when another number of bytes came than it has, OutputError when it cannot
    be written here.
    """
    size = _size(phone, _absolute(remote))
    part = local.with_name(f"{local.name}.part")
    try:
        with part.open("wb") as file:
            receive = partial(_receive, phone, remote, file, size)
            came = phone.talk(f"pulling {remote!r}", deadline, receive)
        if came != size:
            raise TransferError(f"{came} of {size} bytes of {remote!r} came from {phone}")
        part.replace(local)
    except OSError as error:
        raise OutputError(f"{local} cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return Pulled(local, size)


def sha256(phone: Phone, remote: str) -> str | None:
    """The digest of a file on the phone, or None when there is none.

    Computed on the phone; a phone without `sha256sum` has its file read back instead.
    """
    result = phone.script('[ -f "$1" ] || exit 66; sha256sum < "$1"', remote)
    if result.code == 66:
        return None
    if result.code == NOT_FOUND:
        return phone.talk(f"reading {remote!r}", 600.0, partial(_hash, phone, remote))
    found = re.match(r"[0-9a-f]{64}\b", result.stdout)
    if result.code or not found:
        raise TransferError(f"{phone} could not hash {remote!r}: {result.stderr.strip()!r}")
    return found[0]


def digests(phone: Phone, remotes: Sequence[str]) -> dict[str, str]:
    """The digests of those files that are on the phone, in one round trip.

    What a phone cannot hash is left out; `push` looks at it more closely.
    """
    script = 'for each in "$@"; do [ -f "$each" ] && sha256sum "$each"; done; true'
    told = phone.script(script, *remotes).stdout.splitlines()
    found = (re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line) for line in told)
    return {each[2]: each[1] for each in found if each}


def free(phone: Phone, path: str = WORK) -> int:
    """Bytes free in the file system of a path; raises StorageError when `df` cannot say."""
    result = phone.shell(["df", "-k", path])
    found = _AVAILABLE.search(result.stdout)
    if not found:
        raise StorageError(f"{phone} does not say how much is free in {path}")
    return int(found[1]) * 1024


def remove(phone: Phone, remote: str) -> None:
    """Remove a file or folder below WORK; nothing happens when it is not there."""
    phone.check(["rm", "-rf", _inside(remote)])


def _make_room(phone: Phone, size: int) -> None:
    room = free(phone)
    if room < size + SPARE:
        raise StorageError(
            f"{phone} has {room >> 20} MiB free in {WORK}; {size >> 20} MiB and "
            f"{SPARE >> 20} MiB to spare are needed"
        )


def _send(
    phone: Phone, local: Path, part: str, deadline: float, progress: Callable[[int], None] | None
) -> None:
    with local.open("rb") as file:
        counted = cast(BinaryIO, _Counted(file, progress))  # adbutils only ever reads it
        send = partial(phone.sync.push, counted, part, 0o600)
        try:
            phone.talk(f"pushing {local.name!r}", deadline, send)
        except ConnectionLostError as error:
            raise _refusal(phone, part) or error from error


def _refusal(phone: Phone, part: str) -> StorageError | None:
    """Why the phone would not take a file; the sync protocol's reason is lost on the way."""
    try:
        tried = phone.script('echo . >> "$1"', part, deadline=5)
        room = free(phone)
    except (TransientDeviceError, PermanentDeviceError):
        return None
    if tried.code:
        return StorageError(f"{phone} cannot store {part!r}: {tried.stderr.strip()[-120:]!r}")
    if room < SPARE:
        return StorageError(f"{phone} ran out of space; {room >> 20} MiB are free")
    return StorageError(f"{phone} refused to store {part!r}, for lack of space or of rights")


def _verify(phone: Phone, part: str, wanted: str, size: int) -> None:
    if sha256(phone, part) != wanted:
        held = _size(phone, part)
        raise TransferError(
            f"{phone} holds {held} of {size} bytes, or other ones, after the push of {part!r}"
        )


def _size(phone: Phone, remote: str) -> int:
    found = phone.talk(f"looking at {remote!r}", 30, partial(phone.sync.stat, remote))
    if found.mode & 0o170000 != 0o100000:
        what = "no file" if found.mode == 0 else "no regular file"
        raise StorageError(f"{phone} has {what} at {remote!r}")
    return found.size


def _receive(phone: Phone, remote: str, file: BinaryIO, size: int) -> int:
    came = 0
    for piece in phone.sync.iter_content(remote):
        came += len(piece)
        if came > min(size, PULL_LIMIT):
            break
        try:
            file.write(piece)
        except OSError as error:
            raise OutputError(f"{remote!r} cannot be kept here: {error}") from error
    return came


def _hash(phone: Phone, remote: str) -> str:
    whole = hashlib.sha256()
    for piece in phone.sync.iter_content(remote):
        whole.update(piece)
    return whole.hexdigest()


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], None] | None) -> None:
        self._file, self._progress = file, progress

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        if self._progress:
            self._progress(len(data))
        return data


def _absolute(remote: str) -> str:
    if not remote.startswith("/") or "\0" in remote or len(remote.encode()) > 900:
        raise InputError(f"{remote[:80]!r} is not an absolute path on a phone")
    return remote


def _inside(remote: str) -> str:
    path = PurePosixPath(_absolute(remote))
    if ".." in path.parts or PurePosixPath(WORK) not in path.parents:
        raise InputError(f"{remote[:80]!r} leaves {WORK}, where mobileopt keeps its files")
    return str(path)


def _measure(local: Path) -> tuple[int, str]:
    try:
        return local.stat().st_size, digest(local)
    except OSError as error:
        raise InputError(f"{local} cannot be read: {error}") from error
