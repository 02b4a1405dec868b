"""Runs artifacts on this machine, each in a process of its own that stays warm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mobileopt.conditions import HOST, Memory, environment
from mobileopt.errors import MeasurementError


@dataclass(frozen=True)
class Times:
    """Wall and CPU seconds of consecutive forward passes, and the page faults a pass took."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]
    page_faults: float = 0.0


@dataclass(frozen=True)
class Conditioned:
    """An artifact under another memory condition than a host's usual one."""

    folder: Path
    memory: Memory


@dataclass(frozen=True)
class Allocations:
    """Requests for memory of one forward pass, and their bytes together."""

    count: int
    bytes: int


def command(folder: Path, memory: Memory = HOST) -> list[str]:
    """The argv of a process that serves the artifact in `folder`."""
    return [sys.executable, "-m", "mobileopt.execution", str(folder.resolve()), memory.input]


class Worker:
    """A process with one artifact loaded and warm; use as a context manager.

    The process starts at once; `wait` until it is ready. It sleeps between requests.
    """

    def __init__(self, what: Path | Conditioned) -> None:
        given = what if isinstance(what, Conditioned) else Conditioned(what, HOST)
        self._folder = given.folder
        conditions = environment(given.memory)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in __exit__
        self._process = subprocess.Popen(
            command(given.folder, given.memory),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=conditions,
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

        Raises MeasurementError when the process ends instead, with the last line it wrote.
        """
        return bool(self._read()["converged"])

    def pin(self, core: int) -> None:
        """Run on one core from now on; raises MeasurementError when the process is gone."""
        try:
            os.sched_setaffinity(self._process.pid, {core})
        except OSError as error:
            raise self._died() from error

    def sample(self, count: int, seconds: float) -> Times:
        """Time consecutive forward passes, at least `count` in at least `seconds`.

        Raises MeasurementError when the process dies on the way.
        """
        told = self._answer({"samples": count, "seconds": seconds})
        return Times(_numbers(told["wall"]), _numbers(told["cpu"]), float(told["page_faults"]))

    def allocations(self) -> Allocations:
        """Count what one forward pass asks the allocator for; ask for no times after that.

        Raises MeasurementError when the process dies on the way.
        """
        told = self._answer({"allocations": True})
        return Allocations(int(told["count"]), int(told["bytes"]))

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._died() from error
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        return json.loads(line)

    def _died(self) -> MeasurementError:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit code {code} and not a word"
        return MeasurementError(f"the process that ran {self._folder} ended: {reason}")


def _numbers(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
