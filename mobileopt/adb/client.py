"""adbutils with deadlines: the only file that imports it.

A timeout in adbutils is per receive, so a chatty command outlives it and a push to a frozen
phone hangs for ever. Here every conversation has one overall deadline, kept by a timer that
cuts its sockets.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import adbutils  # pyright: ignore[reportMissingTypeStubs]  typed inline, without py.typed
from adbutils import Sync  # pyright: ignore[reportMissingTypeStubs]

from mobileopt.errors import (
    AccessError,
    ConnectionLostError,
    DeadlineError,
    DeviceError,
    ProgramError,
    ServerError,
)

__all__ = ["Client", "Output", "Sync", "meaning", "run"]

T = TypeVar("T")

LOCAL = ("127.0.0.1", "localhost", "::1")
OUTPUT_LIMIT = 16 << 20
STDOUT, STDERR, EXIT = 1, 2, 3

# What adbutils lets through when a phone, its cable or the server goes away.
FAULTS = (adbutils.AdbError, OSError, EOFError, AssertionError, struct.error, ValueError)

_MEANINGS: tuple[tuple[str, type[DeviceError], str], ...] = (
    ("unauthorized", AccessError, "has not authorized this computer; accept it on its screen"),
    ("authorizing", AccessError, "waits for authorization; accept this computer on its screen"),
    ("permission", AccessError, "may not be opened by this user; a udev rule is missing"),
    ("offline", ConnectionLostError, "is offline"),
    ("not found", ConnectionLostError, "is not connected"),
    ("no device", ConnectionLostError, "is not connected"),
    ("closed", AccessError, "refuses the service"),
    ("connect to adb server", ServerError, "cannot be reached: the adb server is gone"),
)


@dataclass(frozen=True)
class Output:
    """What a command printed, and its exit code (128 + n for signal n)."""

    stdout: bytes
    stderr: bytes
    code: int


@dataclass
class _Conversation:
    """The connections of one deed, to be cut when its time is up."""

    connections: list[adbutils.AdbConnection] = field(default_factory=list[adbutils.AdbConnection])
    cut: bool = False

    def end(self) -> None:
        """Wake up whoever waits for an answer; no new connection is made any more."""
        self.cut = True
        for connection in self.connections:
            with contextlib.suppress(OSError, adbutils.AdbError):
                connection.conn.shutdown(socket.SHUT_RDWR)


class Client(adbutils.AdbClient):
    """A connection to one adb server; for one thread."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host=host, port=port)
        self._now = _Conversation()

    def within(self, seconds: float, who: str, what: str, deed: Callable[[], T]) -> T:
        """Do a deed that talks to the server, all of it within so many seconds.

        `who` and `what` are for the sentence of an error: DeadlineError when time is up,
        AccessError, ConnectionLostError or ServerError for what went wrong before.
        """
        late = f"{who} did not finish {what} within {seconds:g} s"
        with self._conversation(seconds) as now:
            try:
                result = deed()
            except FAULTS as error:
                if now.cut:
                    raise DeadlineError(late) from error
                raise meaning(error, who, what) from error
            if now.cut:
                raise DeadlineError(late)
            return result

    def interrupt(self) -> None:
        """End the conversation of another thread as if its time were up."""
        self._now.end()

    def make_connection(self, timeout: float | None = None) -> adbutils.AdbConnection:
        """Connect to the server and remember it, to cut it when time is up."""
        self._find_server()
        connection = super().make_connection(timeout)
        self._now.connections.append(connection)
        if self._now.cut:  # the timer may have passed over the list before this was on it
            raise adbutils.AdbError("time is up")
        return connection

    @contextlib.contextmanager
    def _conversation(self, seconds: float) -> Generator[_Conversation, None, None]:
        self._now = now = _Conversation()
        timer = threading.Timer(seconds, now.end)
        timer.daemon = True
        timer.start()
        try:
            yield now
        finally:
            timer.cancel()
            for connection in now.connections:
                connection.close()

    def _find_server(self) -> None:
        # adbutils would start a server on the port of the environment, not on this one, and
        # a local one when a remote one is away.
        where = f"{self.host}:{self.port}"
        if _listens(self.host, self.port):
            return
        if self.host not in LOCAL:
            raise ServerError(f"no adb server answers at {where}; start one there")
        command = [adbutils.adb_path(), "-P", str(self.port), "start-server"]
        try:
            subprocess.run(command, capture_output=True, check=True, timeout=20)
        except (OSError, subprocess.SubprocessError) as error:
            raise ServerError(f"adb's server could not be started at {where}: {error}") from error


def run(device: adbutils.AdbDevice, argv: Sequence[str]) -> Output:
    """Run one command over the `shell,v2` service, which alone has an exit code.

    adbutils' own `shell2` keeps whatever a phone sends; this stops at OUTPUT_LIMIT bytes.
    Raises ProgramError `too_much_output`, and EOFError when the stream ends without an exit code.
    """
    kept = {STDOUT: bytearray(), STDERR: bytearray()}
    with device.open_transport(timeout=None) as connection:
        connection.send_command("shell,v2:" + shlex.join(argv))
        connection.check_okay()
        while True:
            header = connection.read_exact(5)
            identifier, size = header[0], int.from_bytes(header[1:], "little")
            if size + sum(map(len, kept.values())) > OUTPUT_LIMIT:
                raise ProgramError(
                    "too_much_output", f"{argv[-1]!r} printed more than {OUTPUT_LIMIT >> 20} MiB"
                )
            data = connection.read_exact(size)
            if identifier == EXIT and data:
                connection.conn.close()  # adbutils' own close sleeps 10 ms first
                return Output(bytes(kept[STDOUT]), bytes(kept[STDERR]), data[0])
            if identifier in kept:
                kept[identifier] += data


def meaning(error: Exception, who: str, what: str) -> DeviceError:
    """The named error for something adbutils raised."""
    text = str(error).lower()
    for sign, kind, sentence in _MEANINGS:
        if sign in text:
            return kind(f"{who} {sentence} (during {what})")
    return ConnectionLostError(f"the connection to {who} was lost during {what}")


def _listens(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 3):
        return True
    return False
