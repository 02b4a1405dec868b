"""Runs artifacts on this machine, each in a process of its own that stays warm."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mobileopt.conditions import environment
from mobileopt.errors import MeasurementError, ProcessDiedError

PATIENCE = 600.0
"""Seconds a process may be silent before it counts as hung."""


@dataclass(frozen=True)
class Times:
    """Wall and CPU seconds of consecutive forward passes."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


@dataclass(frozen=True)
class Program:
    """A process that answers as `mobileopt.execution` does, for what is no artifact.

    It runs `argv` and imports mobileopt from `checkout`. One process may serve several
    benchmarks: `ask` is added to each request and says which of them is meant.
    """

    name: str
    argv: tuple[str, ...]
    checkout: Path
    ask: tuple[tuple[str, str], ...] = ()


def command(folder: Path) -> list[str]:
    """The argv of a process that serves the artifact in `folder`."""
    return [sys.executable, "-m", "mobileopt.execution", str(folder.resolve())]


class Worker:
    """A process with one artifact loaded and warm, or a `Program`; use as a context manager.

    The process starts at once; `wait` until it is ready. It sleeps between requests. `warmup`
    are the wall seconds of the passes it warmed up with, once it is ready.
    """

    def __init__(self, what: Path | Program, patience: float = PATIENCE) -> None:
        self.warmup: tuple[float, ...] = ()
        self._what = what
        self._name = what.name if isinstance(what, Program) else str(what)
        self._patience = patience
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in __exit__
        self._process = subprocess.Popen(
            what.argv if isinstance(what, Program) else command(what),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(what.checkout if isinstance(what, Program) else None),
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def wait(self) -> bool:
        """Block until the artifact is warm; whether its times had settled.

        Raises ProcessDiedError when the process ends instead, with the last line it wrote.
        """
        told = self._read()
        self.warmup = _numbers(told["warmup"])
        return bool(told["converged"])

    def pin(self, core: int) -> None:
        """Run on one core from now on; raises ProcessDiedError when the process is gone."""
        try:
            os.sched_setaffinity(self._process.pid, {core})
        except OSError as error:
            raise self._died() from error

    def sample(self, count: int, seconds: float, **ask: str) -> Times:
        """Time consecutive forward passes, at least `count` in at least `seconds`.

        `ask` says which benchmark, where the process serves several. Raises ProcessDiedError
        when the process dies on the way, MeasurementError when it falls silent.
        """
        assert self._process.stdin is not None
        try:
            request = {"samples": count, "seconds": seconds} | ask
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._died() from error
        answer = self._read()
        return Times(_numbers(answer["wall"]), _numbers(answer["cpu"]))

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        # Each answer is one line and the last was read whole: nothing waits in the buffer.
        if not select.select([self._process.stdout], [], [], self._patience)[0]:
            raise MeasurementError(f"{self._name} said nothing for {self._patience:.0f} seconds")
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        return json.loads(line)

    def _died(self) -> ProcessDiedError:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit code {code} and not a word"
        return ProcessDiedError(self._name, reason)


def _numbers(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
