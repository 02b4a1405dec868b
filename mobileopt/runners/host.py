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
from typing import IO, Any, cast

from mobileopt.conditions import HARNESS, HOST, Memory, environment
from mobileopt.errors import MeasurementError, ProcessDiedError

PATIENCE = 600.0
"""Seconds a process may be silent before it counts as hung."""


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


@dataclass(frozen=True)
class Program:
    """A process that answers as `mobileopt.execution` does, for more than one artifact or other.

    It runs `argv`, with the mobileopt of `checkout` if that is given. One process may serve
    several benchmarks: `ask` is added to each request and says which of them is meant.
    """

    name: str
    argv: tuple[str, ...]
    checkout: Path | None = None
    ask: tuple[tuple[str, str], ...] = ()


Served = Path | Conditioned | Program
"""What a process can serve: an artifact in its folder, usually."""


def _name(what: Served) -> str:
    if isinstance(what, Program):
        return what.name
    return f"{what.folder} {what.memory}" if isinstance(what, Conditioned) else str(what)


def _start(what: Served) -> tuple[Sequence[str], dict[str, str]]:
    """The argv and the environment of the process."""
    if isinstance(what, Program):
        return what.argv, environment(what.checkout)
    given = what if isinstance(what, Conditioned) else Conditioned(what, HOST)
    argv = [*command(given.folder), f"--input={given.memory.input}"]
    return argv, environment(memory=given.memory)


def command(*folders: Path) -> list[str]:
    """The argv of a process that serves the artifacts in `folders`."""
    return [sys.executable, "-m", "mobileopt.execution", *(str(each.resolve()) for each in folders)]


def answer(name: str, line: str) -> dict[str, Any]:
    """What a program said in one line; raises MeasurementError for anything but a JSON object."""
    try:
        told: Any = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise MeasurementError(f"{name} said {line.strip()[:60]!r} where its answer was expected")
    return cast(dict[str, Any], told)


def together(name: str, folders: Sequence[Path]) -> list[Program]:
    """A program for each artifact, all of them served by one process: one import of torch.

    It is this mobileopt's, also where another one lies in the current folder.
    """
    python, *rest = command(*folders)
    argv = (python, "-P", *rest)
    asks = [(("artifact", str(at)),) for at in range(len(folders))]
    return [Program(name, argv, HARNESS, ask) for ask in asks]


class Worker:
    """A process with one artifact loaded and warm, or a `Program`; use as a context manager.

    The process starts at once; `wait` until it is ready. It sleeps between requests. `warmup`
    are the wall seconds of the passes it warmed up with, once it is ready.
    """

    def __init__(self, what: Served, patience: float = PATIENCE) -> None:
        self.warmup: tuple[float, ...] = ()
        self._name = _name(what)
        self._patience = patience
        argv, conditions = _start(what)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in __exit__
        self._process = subprocess.Popen(
            argv,
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
        when the process dies on the way, MeasurementError when it falls silent or says something
        that is no answer.
        """
        told = self._answer({"samples": count, "seconds": seconds} | ask)
        faults = float(told.get("page_faults", 0))  # a program need not count them
        return Times(_numbers(told["wall"]), _numbers(told["cpu"]), faults)

    def allocations(self) -> Allocations | None:
        """Count what one forward pass asks the allocator for; ask for no times after that.

        None where torch cannot see it, as in ExecuTorch's runtime.
        Raises as `sample` does.
        """
        told = self._answer({"allocations": True})
        if told["count"] is None:
            return None
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
        # Each answer is one line and the last was read whole: nothing waits in the buffer.
        if not select.select([self._process.stdout], [], [], self._patience)[0]:
            raise MeasurementError(f"{self._name} said nothing for {self._patience:.0f} seconds")
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        return answer(self._name, line)

    def _died(self) -> ProcessDiedError:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit code {code} and not a word"
        return ProcessDiedError(self._name, reason)


def _numbers(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
