"""adb's transport protocol, as a device speaks it: messages, streams and what can go wrong.

The protocol is described in the Android sources, `packages/modules/adb/protocol.txt`. One
WRTE is in flight a stream, and every one is answered with OKAY after it was consumed.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

HEADER = struct.Struct("<6I")
VERSION = 0x01000001  # from here on checksums may be zero
MAX_DATA = 1 << 20
FEATURES = "shell_v2,stat_v2,cmd"
AUTH_TOKEN = 1
AUTH_PUBLIC_KEY = 3


def command(name: bytes) -> int:
    """A command's number on the wire: its four letters, little endian."""
    return int.from_bytes(name, "little")


CNXN, AUTH, OPEN, OKAY, CLSE, WRTE = map(
    command, (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"CLSE", b"WRTE")
)


@dataclass(frozen=True)
class Fault:
    """What goes wrong next, and after how many bytes of a file or of a command's output.

    `die`: the phone is gone. `stall`: it stays connected and falls silent. `no_space`,
    `read_only`: writing a file fails. `truncate`: the rest of a file is swallowed and reported
    as written. `shell_death`: the command's stream closes in mid-output. `no_exit`: all output,
    no exit code. `refuse`: every service is refused. `bad_magic`: a broken header.
    `offline`, `unauthorized`: the phone never finishes connecting.
    """

    kind: str
    after: int = 0


class StreamClosedError(Exception):
    """The other side closed the stream, or the connection is gone."""


class Stream:
    """One service's two-way stream of bytes within a connection."""

    def __init__(self, connection: Connection, local: int, remote: int) -> None:
        self.connection, self.local, self.remote = connection, local, remote
        self.inbox: queue.Queue[bytes | None] = queue.Queue()
        self.acknowledged = threading.Semaphore(0)
        self.closed = threading.Event()
        self._rest = b""
        self._writing = threading.Lock()

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; raises StreamClosedError when they will not come."""
        while len(self._rest) < size:
            self._rest += self.chunk()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def chunk(self) -> bytes:
        """The next message's bytes, acknowledged."""
        data = self.inbox.get()
        if data is None:
            raise StreamClosedError
        self.connection.send(OKAY, self.local, self.remote)
        return data

    def write(self, data: bytes) -> None:
        """Send, and wait until it was consumed."""
        with self._writing:
            for start in range(0, len(data), MAX_DATA):
                self.connection.send(WRTE, self.local, self.remote, data[start : start + MAX_DATA])
                self.acknowledged.acquire()
                if self.closed.is_set():
                    raise StreamClosedError

    def shut(self) -> None:
        """Wake up whoever waits on this stream; it carries nothing any more."""
        self.closed.set()
        self.inbox.put(None)
        self.acknowledged.release()


Service = Callable[[Stream, str], None]


class Connection:
    """One adb server's connection to the phone."""

    def __init__(
        self, sock: socket.socket, banner: str, service: Service, fault: Callable[[], Fault | None]
    ) -> None:
        self.sock, self.banner, self.service, self.fault = sock, banner, service, fault
        self.streams: dict[int, Stream] = {}
        self.awake = threading.Event()
        self.awake.set()
        self._sending = threading.Lock()
        self._last = 0

    def serve(self) -> None:
        """Answer until the connection is gone."""
        with contextlib.suppress(OSError, EOFError, struct.error, StreamClosedError):
            while True:
                self._answer(*self._receive())
        self.close()

    def close(self) -> None:
        """Be gone, as a phone that lost power."""
        self.awake.set()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for stream in list(self.streams.values()):
            stream.shut()

    def send(self, kind: int, first: int, second: int, data: bytes = b"") -> None:
        """Send one message, once the phone is not frozen."""
        self.awake.wait()
        magic = kind ^ 0xFFFFFFFF
        if self._goes_wrong("bad_magic") and kind != CNXN:
            magic ^= 1
        header = HEADER.pack(kind, first, second, len(data), 0, magic)
        with self._sending:
            try:
                self.sock.sendall(header + data)
            except OSError as error:
                raise StreamClosedError from error

    def _receive(self) -> tuple[int, int, int, bytes]:
        kind, first, second, size, _, _ = HEADER.unpack(self._read(HEADER.size))
        data = self._read(size)
        self.awake.wait()
        return kind, first, second, data

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def _goes_wrong(self, kind: str) -> bool:
        fault = self.fault()
        return fault is not None and fault.kind == kind

    def _answer(self, kind: int, first: int, second: int, data: bytes) -> None:
        if kind in (CNXN, AUTH):
            if first != AUTH_PUBLIC_KEY:  # an offered key waits for a tap on the screen
                self._greet()
        elif kind == OPEN:
            self._open(first, data.rstrip(b"\0").decode("utf-8", "replace"))
        elif stream := self.streams.get(second):
            self._carry(kind, stream, data)

    def _greet(self) -> None:
        if self._goes_wrong("offline"):
            return
        if self._goes_wrong("unauthorized"):
            self.send(AUTH, AUTH_TOKEN, 0, b"\x01" * 20)
        else:
            self.send(CNXN, VERSION, MAX_DATA, self.banner.encode())

    def _open(self, remote: int, name: str) -> None:
        if self._goes_wrong("refuse"):
            self.send(CLSE, 0, remote)
            return
        self._last += 1
        stream = self.streams[self._last] = Stream(self, self._last, remote)
        self.send(OKAY, stream.local, remote)
        threading.Thread(target=self._run, args=(stream, name), daemon=True).start()

    def _run(self, stream: Stream, name: str) -> None:
        with contextlib.suppress(StreamClosedError):
            self.service(stream, name)
            self.send(CLSE, stream.local, stream.remote)
        self.streams.pop(stream.local, None)

    def _carry(self, kind: int, stream: Stream, data: bytes) -> None:
        if kind == WRTE:
            stream.inbox.put(data)
        elif kind == OKAY:
            stream.acknowledged.release()
        elif kind == CLSE:
            stream.shut()
