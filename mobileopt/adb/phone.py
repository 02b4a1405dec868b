"""One connected phone: commands, and coming back after a lost connection."""

from __future__ import annotations

import contextlib
import math
import re
import shlex
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from mobileopt.adb.client import Client, Sync, run
from mobileopt.errors import (
    AccessError,
    ConnectionLostError,
    InputError,
    NotReadyError,
    ProgramError,
    TransientDeviceError,
)
from mobileopt.phone_texts import parse_device, parse_properties

T = TypeVar("T")

WORK = "/data/local/tmp"
"""Where an unrooted phone lets the shell write and execute; `/sdcard` is noexec."""

DEADLINE = 30.0
"""Seconds a command gets unless told otherwise."""

GRACE = 2.0
COMMAND_LIMIT = 60_000  # adb writes a request's length in four hexadecimal digits
KILLED = 137
NOT_FOUND = 127

# Not `timeout`: toybox 0.8.8 and its neighbours lose the exit code of a command that ends at
# once (landley/toybox issue 389), and return before a slower one has ended.
# The guard has a session of its own, so that it and its `sleep` are gone with one signal, and
# no descriptor of the command's, which adbd would wait for. Left alone, because the host went
# away, it ends a few seconds after the command does.
# What is to run after a script, by the same arguments, stands in the first word: a script that
# waited for its program itself would be killed in the program's place.
_GUARD = """after=$1 limit=$2; shift 2
"$@" & child=$!
setsid sh -c 'left=$1; while [ $left -gt 0 ]; do
  nap=5; [ $left -ge 5 ] || nap=$left
  sleep $nap; kill -0 $2 || exit; left=$((left - nap))
done; kill -KILL $2' sh $limit $child </dev/null >/dev/null 2>&1 & guard=$!
wait $child; code=$?
kill -KILL -$guard 2>/dev/null || kill -KILL $guard 2>/dev/null
[ -z "$after" ] || { shift 4; sh -c "$after" sh "$@"; }
exit $code"""

_ADDRESS = re.compile(r".+:\d{1,5}")
_READY = "device"


@dataclass(frozen=True)
class Transport:
    """One way to a phone as the adb server lists it; `state` is `device` when it is usable.

    `dialled` tells that it came from `adb connect`: the serial of a phone on a cable may look
    like an address as well, and is nobody to connect to.
    """

    serial: str
    state: str
    identifier: int | None
    dialled: bool = False

    @classmethod
    def listed(cls, info: Any) -> Transport:
        """What adbutils says of a transport; one on a cable has a `usb` tag."""
        dialled = "usb" not in info.tags and bool(_ADDRESS.fullmatch(info.serial))
        return cls(info.serial, info.state, info.transport_id, dialled)


@dataclass(frozen=True)
class Result:
    """What a command on a phone printed; `code` is 128 + n when signal n ended it."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float


class Phone:
    """A phone behind an adb server; for one thread. Usable when `transport.state` is `device`."""

    def __init__(self, client: Client, transport: Transport) -> None:
        self.transport = transport
        self._client = client
        self._hardware = ""
        self._foreign = False
        self._finishing = threading.RLock()
        self._interrupted = threading.Event()
        self._attach(transport)

    def __str__(self) -> str:
        return f"phone {self.transport.serial!r}"

    def shell(self, argv: Sequence[str], deadline: float | None = None) -> Result:
        """Run a command; every word arrives as it is, whatever it holds.

        The phone itself kills the command after `deadline` seconds (else DEADLINE), and the host
        stops waiting a moment later should the phone be frozen.

        Raises ProgramError `timed_out`, DeadlineError, ConnectionLostError, AccessError, and
        InputError for a word with a NUL byte or a command too long for the protocol.
        """
        return self._run(_checked(argv), "", deadline)

    def _run(self, words: tuple[str, ...], after: str, deadline: float | None) -> Result:
        limit = max(1, math.ceil(DEADLINE if deadline is None else deadline))
        guarded = ["sh", "-c", _GUARD, "sh", after, str(limit), *words]
        started = time.monotonic()
        output = self.talk(
            f"running {words[0]!r}", limit + GRACE, partial(run, self._device, guarded)
        )
        seconds = time.monotonic() - started
        if output.code == KILLED and seconds >= limit:
            raise ProgramError("timed_out", f"{words[0]!r} on {self} ran longer than {limit} s")
        out, err = (text.decode("utf-8", "replace") for text in (output.stdout, output.stderr))
        return Result(words, output.code, out, err, seconds)

    def script(
        self, text: str, *arguments: str, deadline: float | None = None, after: str = ""
    ) -> Result:
        """Run a constant shell script; what varies goes in as `$1`, `$2`, never into the text.

        `after` is another one, run with the same arguments when the first has ended, however it
        did; its output follows, and the exit code stays the first's.
        """
        return self._run(_checked(["sh", "-c", text, "sh", *arguments]), after, deadline)

    def check(self, argv: Sequence[str], deadline: float | None = None) -> Result:
        """`shell`, but a command that fails raises ProgramError `command_failed`."""
        result = self.shell(argv, deadline)
        if result.code != 0:
            said = (result.stderr or result.stdout).strip()[:200]
            raise ProgramError(
                "command_failed", f"{argv[0]!r} on {self} failed with {result.code}: {said!r}"
            )
        return result

    def interrupt(self) -> None:
        """Cut the conversation another thread is having; it ends with a DeadlineError there.

        From then on nobody waits for this phone to come back. What goes on in `finishing` goes on.
        """
        self._interrupted.set()
        if self._finishing.acquire(blocking=False):
            try:
                self._client.interrupt()
            finally:
                self._finishing.release()

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called: nothing is to be tried again."""
        return self._interrupted.is_set()

    @contextlib.contextmanager
    def finishing(self) -> Generator[None, None, None]:
        """What leaves the phone as it was found; `interrupt` does not cut it."""
        with self._finishing:
            yield

    def expect(self, serial: str) -> None:
        """Take this for the phone of that hardware serial, and for no other from now on."""
        self._hardware = serial

    def verify(self) -> bool:
        """Raise AccessError when the transport leads to another phone than was expected.

        An address may have gone to another one meanwhile, to which nothing may be done: from
        then on every command raises it. Gives whether the phone could tell who it is.
        """
        properties = parse_properties(self.shell(["getprop"], deadline=3).stdout)
        serial = parse_device(properties, {}).serial
        self._foreign = bool(serial and self._hardware and serial != self._hardware)
        self._refuse_another()
        return bool(serial) or not self._hardware

    def reconnect(self, seconds: float = 60.0) -> None:
        """Wait for this phone to come back, and take up its new connection.

        Raises ConnectionLostError when it does not within so many seconds, or when `interrupt`
        asked to wait no longer, and AccessError when it wants to be authorized again, or another
        phone answers in its place.
        """
        ends = time.monotonic() + seconds
        state = "absent"
        while time.monotonic() < ends:
            if self.transport.dialled:
                self._dial(max(1.0, min(15.0, ends - time.monotonic())))
            transport = self._listed()
            state = transport.state if transport else "absent"
            if transport and state == _READY and self._answers(transport):
                return
            if self._interrupted.wait(0.5):
                raise ConnectionLostError(f"{self} was away when everything was to stop")
        if state == "unauthorized":
            raise AccessError(f"{self} wants this computer to be authorized again")
        raise ConnectionLostError(f"{self} did not come back within {seconds:g} s: {state}")

    def _answers(self, transport: Transport) -> bool:
        self._attach(transport)
        try:
            return self.verify()
        except (TransientDeviceError, AccessError):
            self._refuse_another()
            return False

    def _refuse_another(self) -> None:
        if self._foreign:
            raise AccessError(f"{self} is another phone now than the one it was")

    def _attach(self, transport: Transport) -> None:
        self.transport = transport
        self._device = self._client.device(
            serial=None if transport.identifier else transport.serial,
            transport_id=transport.identifier,
        )

    def _dial(self, seconds: float) -> None:
        address = self.transport.serial
        listed = self._listed()
        if listed and listed.state == _READY and self._answers(listed):
            return
        for deed in (self._client.disconnect, self._client.connect):
            with contextlib.suppress(TransientDeviceError, AccessError):
                self._client.within(seconds, str(self), "connecting", partial(deed, address))

    def _listed(self) -> Transport | None:
        list_all = partial(self._client.list, extended=True)
        with contextlib.suppress(TransientDeviceError):
            for info in self._client.within(15, str(self), "listing", list_all):
                if info.serial == self.transport.serial:
                    return Transport.listed(info)
        return None

    @property
    def sync(self) -> Sync:
        """The file protocol; only for a deed within `talk`."""
        return self._device.sync

    def talk(self, what: str, seconds: float, deed: Callable[[], T]) -> T:
        """Do a deed with this phone's `sync`, all of it within so many seconds.

        Raises DeadlineError, ConnectionLostError, AccessError or ServerError; `what` is for
        their sentence.
        """
        self._refuse_another()
        try:
            return self._client.within(seconds, str(self), what, deed)
        except AccessError as error:
            # A stream closed at once is a refusal, unless the phone itself has gone.
            listed = self._listed()
            if listed is None or listed.state == "offline":
                raise ConnectionLostError(f"{self} went away during {what}") from error
            raise


def again(phone: Phone, deed: Callable[[], T], attempts: int = 3, patience: float = 60.0) -> T:
    """Do a deed; after a transient fault wait for the phone, `patience` seconds, and repeat it.

    Raises the last TransientDeviceError, or any other error at once; NotReadyError too, which
    comes after waiting, and every error after `phone.interrupt()`.
    """
    for _ in range(attempts - 1):
        try:
            return deed()
        except NotReadyError:
            raise
        except TransientDeviceError:
            with contextlib.suppress(ConnectionLostError):
                phone.reconnect(patience)
            if phone.interrupted:
                raise
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
