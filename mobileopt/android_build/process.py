"""Starting other programs: argument lists only, an environment always named."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from mobileopt.errors import CapabilityError, OutputError

GRACE = 5.0
"""Seconds an interrupted program has to end by itself before it is killed."""
_LONGEST_LINE = 64 * 1024
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def capture(
    argv: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
    stdin: str = "",
    seconds: float = 120,
) -> subprocess.CompletedProcess[str] | None:
    """Run a short program to its end; None when it cannot be started or takes too long."""
    try:
        return subprocess.run(
            [str(each) for each in argv],
            env=dict(environ),
            cwd=cwd,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def stream(
    argv: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    log: Path,
    on_line: Callable[[str], None],
) -> int:
    """Run a long program, append what it prints to `log`, and give each line to `on_line`.

    Returns its exit code, negative for a signal. When the caller is interrupted, or the log
    cannot be written, the program and everything it started are ended before the exception
    goes on. It writes into our pipe, so it also ends, at its next line, when we are killed.

    Raises CapabilityError when the program cannot be started and OutputError for the log.
    """
    try:
        file = log.open("ab", buffering=0)
    except OSError as error:
        raise OutputError(f"the log {log} cannot be written: {error.strerror}") from error
    with file:
        process = _start(argv, environ, cwd)
        try:
            _pump(process, file, _Lines(on_line))
            return process.wait()
        finally:
            _end(process)


def clean(text: str) -> str:
    """A line fit for a terminal: no escape sequences, no control characters."""
    return _CONTROL.sub("", text)


class _Lines:
    """Cuts a byte stream at newlines and at the carriage returns that progress meters use."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, rest = re.split(rb"[\r\n]+", self._rest + data)
        self._rest = rest[-_LONGEST_LINE:]
        for line in lines:
            self._emit(line)

    def close(self) -> None:
        self._emit(self._rest)

    def _emit(self, line: bytes) -> None:
        text = clean(line.decode("utf-8", "replace")).rstrip()
        if text:
            self._on_line(text)


def _start(
    argv: Sequence[str | Path], environ: Mapping[str, str], cwd: Path
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [str(each) for each in argv],
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A group of its own: Ctrl-C reaches us alone, and we end the whole group.
            start_new_session=True,
        )
    except OSError as error:
        raise CapabilityError(f"{argv[0]} cannot be started: {error.strerror}") from error


def _pump(process: subprocess.Popen[bytes], log: BinaryIO, lines: _Lines) -> None:
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    while True:
        ready, _, _ = select.select([pipe], [], [], 0.5)
        if ready:
            data = os.read(pipe, 65536)
            if not data:
                break
            _write(log, data)
            lines.feed(data)
        elif process.poll() is not None:
            # A daemon the program left behind still holds the pipe; it is not waited for.
            break
    lines.close()


def _write(log: BinaryIO, data: bytes) -> None:
    # Unbuffered, so that the log is whole at any moment; such a write may be a short one.
    try:
        while data:
            data = data[log.write(data) or 0 :]
    except OSError as error:
        raise OutputError(f"the log {log.name} cannot be written: {error.strerror}") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also when Ctrl-C comes a second time
            _signal(process, signal.SIGKILL)
        process.wait()
    process.stdout.close()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
