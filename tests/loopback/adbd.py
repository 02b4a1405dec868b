"""A phone that speaks adb's protocol itself, so that it can fail at an exact byte."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import struct
import subprocess
import threading

from tests.loopback.root import Root
from tests.loopback.wire import FEATURES, Connection, Fault, Stream, StreamClosedError

STDOUT, STDERR, EXIT = 1, 2, 3


class Adbd:
    """A phone on a loopback port; commands really run, in the folder of `root`."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.fault: Fault | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[Connection] = []
        self._frozen = False
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @property
    def address(self) -> str:
        """What `adb connect` takes."""
        return f"127.0.0.1:{self.port}"

    def freeze(self) -> None:
        """Stay connected and answer nothing, new connections neither."""
        self._frozen = True
        for connection in self._connections:
            connection.awake.clear()

    def thaw(self) -> None:
        """Go on where it froze."""
        self._frozen = False
        for connection in self._connections:
            connection.awake.set()

    def power_off(self) -> None:
        """Be gone: no connection, nobody listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.die()

    def power_on(self) -> None:
        """Listen again on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def die(self) -> None:
        """Lose every connection at once; the port stays open."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                banner = f"device::{self.root.banner}features={FEATURES}"
                connection = Connection(sock, banner, self._serve, lambda: self.fault)
                if self._frozen:
                    connection.awake.clear()
                self._connections.append(connection)
                threading.Thread(target=connection.serve, daemon=True).start()

    def _serve(self, stream: Stream, name: str) -> None:
        service, _, rest = name.partition(":")
        if service.startswith("shell,v2"):
            Shell(self, stream).run(rest)
        elif service == "sync":
            Sync(self, stream).run()

    def reached(self, done: int, *kinds: str) -> Fault | None:
        """The fault of one of these kinds whose byte has come; a deadly one strikes here."""
        fault = self.fault
        if fault is None or fault.kind not in kinds or done < fault.after:
            return None
        if fault.kind in ("die", "stall"):
            self.fault = None
            self.die() if fault.kind == "die" else self.freeze()
            if fault.kind == "die":
                raise StreamClosedError
        return fault


class Shell:
    """The `shell,v2` service: separate output streams and an exit code."""

    def __init__(self, phone: Adbd, stream: Stream) -> None:
        self.phone, self.stream, self.sent = phone, stream, 0
        self.silenced = False

    def run(self, line: str) -> None:
        """Run one command line through the shell, in a process group of its own."""
        self.phone.root.account()
        process = subprocess.Popen(
            ["/bin/sh", "-c", self.phone.root.inside(line)],
            cwd=self.phone.root.folder,
            env=self.phone.root.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()
        pumps = [
            threading.Thread(target=self._pump, args=(identifier, pipe), daemon=True)
            for identifier, pipe in ((STDOUT, process.stdout), (STDERR, process.stderr))
        ]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        code = process.wait()
        if not self.silenced and not self.phone.reached(self.sent, "no_exit"):
            self._send(EXIT, bytes([code if code >= 0 else 128 - code]))

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Read what the host sends, which is nothing, until it hangs up; then end the command."""
        with contextlib.suppress(StreamClosedError):
            while True:
                self.stream.chunk()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def _pump(self, identifier: int, pipe) -> None:
        held = b""
        with pipe:
            while data := os.read(pipe.fileno(), 4096):
                turned, held = self.phone.root.outside(held + data)
                self._output(identifier, turned)
        self._output(identifier, held)

    def _output(self, identifier: int, data: bytes) -> None:
        if data and not self.silenced:
            with contextlib.suppress(StreamClosedError):
                self._print(identifier, data)

    def _print(self, identifier: int, data: bytes) -> None:
        fault = self.phone.fault
        if fault and fault.kind in ("die", "stall", "shell_death"):
            data = data[: max(0, fault.after - self.sent)]
        if data:
            self._send(identifier, data)
        self.sent += len(data)
        try:
            self.silenced = self.phone.reached(self.sent, "die", "stall", "shell_death") is not None
        except StreamClosedError:
            self.silenced = True

    def _send(self, identifier: int, data: bytes) -> None:
        self.stream.write(bytes([identifier]) + struct.pack("<I", len(data)) + data)


class Sync:
    """The `sync` service: stat, send and receive of files."""

    def __init__(self, phone: Adbd, stream: Stream) -> None:
        self.phone, self.stream = phone, stream

    def run(self) -> None:
        """Answer requests until the host closes the stream."""
        while True:
            name = self.stream.read(4)
            (size,) = struct.unpack("<I", self.stream.read(4))
            path = self.stream.read(size).decode()
            if name == b"STAT":
                self._stat(path)
            elif name == b"SEND":
                self._receive(path)
            elif name == b"RECV":
                self._send(path)
            elif name == b"QUIT":
                return

    def _stat(self, path: str) -> None:
        try:
            found = self.phone.root.path(path).stat()
            answer = (found.st_mode, found.st_size, int(found.st_mtime))
        except OSError:
            answer = (0, 0, 0)
        self.stream.write(b"STAT" + struct.pack("<III", *answer))

    def _receive(self, target: str) -> None:
        path, _, mode = target.rpartition(",")
        local = self.phone.root.path(path)
        reason = "" if local.parent.is_dir() else "No such file or directory"
        done = 0
        with local.open("wb") if not reason else contextlib.nullcontext() as file:
            while (kind := self.stream.read(4)) == b"DATA":
                (size,) = struct.unpack("<I", self.stream.read(4))
                data = self.stream.read(size)
                reason = reason or self._keep(file, data, done)
                done += size
            self.stream.read(4)
        if kind != b"DONE":
            raise StreamClosedError
        if reason:
            self._fail(reason)
            return
        local.chmod(stat.S_IMODE(int(mode)))
        self.stream.write(b"OKAY" + struct.pack("<I", 0))

    def _keep(self, file, data: bytes, done: int) -> str:
        fault = self.phone.fault
        room = len(data) if fault is None else max(0, fault.after - done)
        kinds = ("no_space", "read_only", "truncate", "die", "stall")
        limited = fault is not None and fault.kind in kinds
        file.write(data[:room] if limited else data)
        file.flush()
        reached = self.phone.reached(done + len(data), *kinds)
        if reached and reached.kind == "no_space":
            return "No space left on device"
        return "Read-only file system" if reached and reached.kind == "read_only" else ""

    def _send(self, path: str) -> None:
        local = self.phone.root.path(path)
        if not local.is_file():
            self._fail("No such file or directory")
            return
        done = 0
        with local.open("rb") as file:
            while data := file.read(65536):
                self.phone.reached(done + len(data), "die", "stall")
                self.stream.write(b"DATA" + struct.pack("<I", len(data)) + data)
                done += len(data)
        self.stream.write(b"DONE" + struct.pack("<I", 0))

    def _fail(self, reason: str) -> None:
        self.stream.write(b"FAIL" + struct.pack("<I", len(reason)) + reason.encode())
