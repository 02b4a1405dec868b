"""A real adb server of the tests' own, on a port of its own, that dies with them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import adbutils


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def listens(port: int) -> bool:
    """Whether somebody does."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def adb_server(home: Path) -> Iterator[int]:
    """Run adb's server on a free port, with its keys in `home`; gives the port."""
    with adb_process(home) as (port, _):
        yield port


@contextlib.contextmanager
def adb_process(home: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """`adb_server`, for who wants to kill it; gives the port and the process.

    It looks for neither emulators nor USB nor mDNS: a test may only see its own phones.
    """
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ADB_LIBUSB": "0",  # without USB, libusb makes the first request wait three seconds
        "ADB_MDNS": "0",
        "ADB_LOCAL_TRANSPORT_MAX_PORT": "5554",
        "TMPDIR": str(home),
    }
    command = [adbutils.adb_path(), "-L", f"tcp:localhost:{port}", "server", "nodaemon"]
    log = (home / "adb.log").open("wb")
    with log, _start(command, environment, log) as process:
        try:
            _wait_for(port, process)
            yield port, process
        finally:
            process.kill()


def _start(
    command: list[str], environment: dict[str, str], log: BinaryIO
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=environment,
        stdout=log,
        stderr=log,
        preexec_fn=_die_with_parent,  # noqa: PLW1509  it takes no lock that a thread could hold
    )


def _die_with_parent() -> None:
    # prctl(PR_SET_PDEATHSIG, SIGKILL): a killed test run leaves no server behind
    ctypes.CDLL(None).prctl(1, 9)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        if listens(port):
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"adb's server did not come up on port {port}")
