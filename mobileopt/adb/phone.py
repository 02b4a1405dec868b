"""One connected phone: commands, files, space, and coming back after a lost connection.

A file is pushed to `NAME.part`, hashed on the phone, and only then takes its name; the sync
protocol itself checks nothing, and reports a truncated file as whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

from mobileopt.adb.client import Client, run
from mobileopt.artifact import digest
from mobileopt.errors import (
    AccessError,
    ConnectionLostError,
    InputError,
    OutputError,
    PermanentDeviceError,
    ProgramError,
    StorageError,
    TransferError,
    TransientDeviceError,
)

T = TypeVar("T")

WORK = "/data/local/tmp"
"""Where an unrooted phone lets the shell write and execute; `/sdcard` is noexec."""

SPARE = 32 << 20
"""Bytes left free on a phone: a full /data makes Android misbehave."""

PULL_LIMIT = 1 << 30
GRACE = 2.0
COMMAND_LIMIT = 60_000  # adb writes a request's length in four hexadecimal digits
KILLED = 137
NOT_FOUND = 127

# Not `timeout`: toybox 0.8.8 and its neighbours lose the exit code of a command that ends at
# once (landley/toybox issue 389), and return before a slower one has ended.
# The guard has a session of its own, so that it and its `sleep` are gone with one signal, and
# no descriptor of the command's, which adbd would wait for.
_GUARD = """limit=$1; shift
"$@" & child=$!
setsid sh -c 'sleep $1 && kill -KILL $2' sh $limit $child </dev/null >/dev/null 2>&1 & guard=$!
wait $child; code=$?
kill -KILL -$guard 2>/dev/null || kill -KILL $guard 2>/dev/null
exit $code"""

_AVAILABLE = re.compile(r"\s\d+\s+\d+\s+(\d+)\s+\d+%")
_ADDRESS = re.compile(r".+:\d{1,5}")
_READY = "device"


@dataclass(frozen=True)
class Transport:
    """One way to a phone as the adb server lists it; `state` is `device` when it is usable."""

    serial: str
    state: str
    identifier: int | None


@dataclass(frozen=True)
class Result:
    """What a command on a phone printed; `code` is 128 + n when signal n ended it."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float


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


class Phone:
    """A phone behind an adb server; for one thread. Usable when `transport.state` is `device`."""

    def __init__(self, client: Client, transport: Transport) -> None:
        self.transport = transport
        self._client = client
        self._attach(transport)

    def __str__(self) -> str:
        return f"phone {self.transport.serial!r}"

    def shell(self, argv: Sequence[str], deadline: float = 30.0) -> Result:
        """Run a command; every word arrives as it is, whatever it holds.

        The phone itself kills the command after `deadline` seconds, and the host stops waiting
        a moment later should the phone be frozen.

        Raises ProgramError `timed_out`, DeadlineError, ConnectionLostError, AccessError, and
        InputError for a word with a NUL byte or a command too long for the protocol.
        """
        words = _checked(argv)
        limit = max(1, math.ceil(deadline))
        guarded = ["sh", "-c", _GUARD, "sh", str(limit), *words]
        started = time.monotonic()
        output = self._talk(
            f"running {words[0]!r}", limit + GRACE, partial(run, self._device, guarded)
        )
        seconds = time.monotonic() - started
        if output.code == KILLED and seconds >= limit:
            raise ProgramError("timed_out", f"{words[0]!r} on {self} ran longer than {limit} s")
        out, err = (text.decode("utf-8", "replace") for text in (output.stdout, output.stderr))
        return Result(words, output.code, out, err, seconds)

    def script(self, text: str, *arguments: str, deadline: float = 30.0) -> Result:
        """Run a constant shell script; what varies goes in as `$1`, `$2`, never into the text."""
        return self.shell(["sh", "-c", text, "sh", *arguments], deadline)

    def check(self, argv: Sequence[str], deadline: float = 30.0) -> Result:
        """`shell`, but a command that fails raises ProgramError `command_failed`."""
        result = self.shell(argv, deadline)
        if result.code != 0:
            said = (result.stderr or result.stdout).strip()[:200]
            raise ProgramError(
                "command_failed", f"{argv[0]!r} on {self} failed with {result.code}: {said!r}"
            )
        return result

    def push(
        self,
        local: Path,
        remote: str,
        *,
        mode: int = 0o644,
        deadline: float = 600.0,
        progress: Callable[[int], None] | None = None,
    ) -> Pushed:
        """Put a file on the phone, unless one of the same content is there.

        `remote` is an absolute path below WORK; `progress` is called with bytes as they go.
        The old file stays until the new one is there, whole.

        Raises InputError for a path outside WORK or an unreadable local file, StorageError
        when there is no room or no right to write, TransferError when the phone holds other
        bytes than were sent, and what `shell` raises.
        """
        target = _inside(remote)
        size, wanted = _measure(local)
        if self.sha256(target) == wanted:
            self.check(["chmod", f"{mode:o}", target])
            return Pushed(target, wanted, size, skipped=True)
        self.check(["mkdir", "-p", str(PurePosixPath(target).parent)])
        self._make_room(size)
        part = f"{target}.part"
        try:
            self._send(local, part, deadline, progress)
            self._verify(part, wanted, size)
            self.check(["chmod", f"{mode:o}", part])
            self.check(["mv", "-f", part, target])
        except BaseException:
            with contextlib.suppress(TransientDeviceError, PermanentDeviceError):
                self.shell(["rm", "-f", part], deadline=5)
            raise
        return Pushed(target, wanted, size, skipped=False)

    def pull(self, remote: str, local: Path, deadline: float = 600.0) -> Pulled:
        """Fetch a regular file; `local` appears only when it is complete.

        Raises StorageError when the phone has no such file or it is not a regular one,
        TransferError when another number of bytes came than it has, OutputError when it cannot
        be written here.
        """
        size = self._size(_absolute(remote))
        part = local.with_name(f"{local.name}.part")
        try:
            with part.open("wb") as file:
                receive = partial(self._receive, remote, file, size)
                came = self._talk(f"pulling {remote!r}", deadline, receive)
            if came != size:
                raise TransferError(f"{came} of {size} bytes of {remote!r} came from {self}")
            part.replace(local)
        except OSError as error:
            raise OutputError(f"{local} cannot be written: {error}") from error
        finally:
            part.unlink(missing_ok=True)
        return Pulled(local, size)

    def sha256(self, remote: str) -> str | None:
        """The digest of a file on the phone, or None when there is none.

        Computed on the phone; a phone without `sha256sum` has its file read back instead.
        """
        result = self.script('[ -f "$1" ] || exit 66; sha256sum < "$1"', remote, deadline=120)
        if result.code == 66:
            return None
        if result.code == NOT_FOUND:
            return self._talk(f"reading {remote!r}", 600.0, partial(self._hash, remote))
        found = re.match(r"[0-9a-f]{64}\b", result.stdout)
        if result.code or not found:
            raise TransferError(f"{self} could not hash {remote!r}: {result.stderr.strip()!r}")
        return found[0]

    def free(self, path: str = WORK) -> int:
        """Bytes free in the file system of a path; raises StorageError when `df` cannot say."""
        result = self.shell(["df", "-k", path])
        found = _AVAILABLE.search(result.stdout)
        if not found:
            raise StorageError(f"{self} does not say how much is free in {path}")
        return int(found[1]) * 1024

    def remove(self, remote: str) -> None:
        """Remove a file or folder below WORK; nothing happens when it is not there."""
        self.check(["rm", "-rf", _inside(remote)])

    def reconnect(self, seconds: float = 60.0) -> None:
        """Wait for this phone to come back, and take up its new connection.

        Raises ConnectionLostError when it does not within so many seconds, AccessError when it
        wants to be authorized again.
        """
        serial = self.transport.serial
        ends = time.monotonic() + seconds
        state = "absent"
        while time.monotonic() < ends:
            if _ADDRESS.fullmatch(serial):
                self._dial(serial)
            transport = self._listed()
            state = transport.state if transport else "absent"
            if transport and state == _READY and self._answers(transport):
                return
            time.sleep(0.5)
        if state == "unauthorized":
            raise AccessError(f"{self} wants this computer to be authorized again")
        raise ConnectionLostError(f"{self} did not come back within {seconds:g} s: {state}")

    def _answers(self, transport: Transport) -> bool:
        self._attach(transport)
        with contextlib.suppress(TransientDeviceError, AccessError):
            return self.shell(["echo", "here"], deadline=3).stdout.startswith("here")
        return False

    def _attach(self, transport: Transport) -> None:
        self.transport = transport
        self._device = self._client.device(
            serial=None if transport.identifier else transport.serial,
            transport_id=transport.identifier,
        )

    def _dial(self, address: str) -> None:
        listed = self._listed()
        if listed and listed.state == _READY and self._answers(listed):
            return
        for deed in (self._client.disconnect, self._client.connect):
            with contextlib.suppress(TransientDeviceError, AccessError):
                self._client.within(15, str(self), "connecting", partial(deed, address))

    def _listed(self) -> Transport | None:
        list_all = partial(self._client.list, extended=True)
        with contextlib.suppress(TransientDeviceError):
            for info in self._client.within(15, str(self), "listing", list_all):
                if info.serial == self.transport.serial:
                    return Transport(info.serial, info.state, info.transport_id)
        return None

    def _talk(self, what: str, seconds: float, deed: Callable[[], T]) -> T:
        try:
            return self._client.within(seconds, str(self), what, deed)
        except AccessError as error:
            # A stream closed at once is a refusal, unless the phone itself has gone.
            listed = self._listed()
            if listed is None or listed.state == "offline":
                raise ConnectionLostError(f"{self} went away during {what}") from error
            raise

    def _make_room(self, size: int) -> None:
        free = self.free()
        if free < size + SPARE:
            raise StorageError(
                f"{self} has {free >> 20} MiB free in {WORK}; {size >> 20} MiB and "
                f"{SPARE >> 20} MiB to spare are needed"
            )

    def _send(
        self, local: Path, part: str, deadline: float, progress: Callable[[int], None] | None
    ) -> None:
        with local.open("rb") as file:
            send = partial(self._device.sync.push, _Counted(file, progress), part, 0o600)
            try:
                self._talk(f"pushing {local.name!r}", deadline, send)
            except ConnectionLostError as error:
                raise self._refusal(part) or error from error

    def _refusal(self, part: str) -> StorageError | None:
        """Why the phone would not take a file; the sync protocol's reason is lost on the way."""
        try:
            tried = self.script('echo . >> "$1" && sync', part, deadline=5)
            free = self.free()
        except (TransientDeviceError, PermanentDeviceError):
            return None
        if tried.code:
            return StorageError(f"{self} cannot store {part!r}: {tried.stderr.strip()[-120:]!r}")
        if free < SPARE:
            return StorageError(f"{self} ran out of space; {free >> 20} MiB are free")
        return StorageError(f"{self} refused to store {part!r}, for lack of space or of rights")

    def _verify(self, part: str, wanted: str, size: int) -> None:
        if self.sha256(part) != wanted:
            held = self._size(part)
            raise TransferError(
                f"{self} holds {held} of {size} bytes, or other ones, after the push of {part!r}"
            )

    def _size(self, remote: str) -> int:
        found = self._talk(f"looking at {remote!r}", 30, partial(self._device.sync.stat, remote))
        if found.mode & 0o170000 != 0o100000:
            what = "no file" if found.mode == 0 else "no regular file"
            raise StorageError(f"{self} has {what} at {remote!r}")
        return found.size

    def _receive(self, remote: str, file: BinaryIO, size: int) -> int:
        came = 0
        for piece in self._device.sync.iter_content(remote):
            came += len(piece)
            if came > min(size, PULL_LIMIT):
                break
            try:
                file.write(piece)
            except OSError as error:
                raise OutputError(f"{remote!r} cannot be kept here: {error}") from error
        return came

    def _hash(self, remote: str) -> str:
        whole = hashlib.sha256()
        for piece in self._device.sync.iter_content(remote):
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


def again(phone: Phone, deed: Callable[[], T], attempts: int = 3) -> T:
    """Do a deed; after a transient fault wait for the phone and do it once more.

    Raises the last TransientDeviceError, or any other error at once.
    """
    for _ in range(attempts - 1):
        try:
            return deed()
        except TransientDeviceError:
            with contextlib.suppress(ConnectionLostError):
                phone.reconnect()
    return deed()


def _checked(argv: Sequence[str]) -> tuple[str, ...]:
    words = tuple(argv)
    if not words or any("\0" in word for word in words):
        raise InputError("a command needs at least one word, and no word may hold a NUL byte")
    try:
        size = len(shlex.join(words).encode())
    except UnicodeEncodeError as error:
        raise InputError(f"a word of the command is not text: {error.object!r}") from error
    if size > COMMAND_LIMIT:
        raise InputError(f"the command {words[0]!r} is too long for adb: {size} bytes")
    return words


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
