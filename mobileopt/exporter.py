"""Exports through another process: the boundary between the half that builds and this one.

`python -m mobileopt export` is all that is asked of the other side, so the artifacts of an old
commit can be made in its own environment and measured by this code.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mobileopt import artifact
from mobileopt.artifact import Artifact
from mobileopt.conditions import environment
from mobileopt.errors import InputError, MeasurementError
from mobileopt.variant import Recipe


@dataclass(frozen=True)
class Order:
    """What to export of one model, and where to; the fields are `mobileopt export`'s options.

    `model` is what `mobileopt.reference` can name; `inputs`, `calibration`, `evaluation` and
    `name` belong to a user's own. The code in `checkout` exports, if that is given. Relative paths
    and a user's factories are looked up in `folder`, or else in `checkout`, or else here.
    """

    model: str
    recipes: Sequence[Recipe]
    out: Path
    weights: str | None = None
    batch: int = 1
    inputs: Sequence[str] = ()
    calibration: str | None = None
    evaluation: str | None = None
    name: str | None = None
    checkout: Path | None = None
    folder: Path | None = None

    def command(self) -> list[str]:
        """The argv that exports, answering a line of JSON for each recipe."""
        # -P: the folder this happens to run in is not where mobileopt is taken from.
        python = [sys.executable, *(["-P"] if self.checkout else [])]
        argv = [*python, "-m", "mobileopt", "export", "--json"]
        argv += ["-o", str(self.out.absolute()), "--batch", str(self.batch)]
        for option in ("weights", "calibration", "evaluation", "name"):
            value = getattr(self, option)
            argv += [f"--{option}={value}"] if value is not None else []
        argv += [f"--input={each}" for each in self.inputs]
        argv += [f"--recipe={recipe}" for recipe in self.recipes]
        return [*argv, "--", self.model]


@dataclass(frozen=True)
class Exported:
    """What was made, and for each recipe that could not be, one sentence that says why."""

    made: tuple[Artifact, ...]
    refused: Mapping[str, str]


def export(
    order: Order, on_each: Callable[[], object] = lambda: None, timeout: float = math.inf
) -> Exported:
    """Export every recipe that can be; `on_each` is called after each.

    Raises InputError with the other side's sentence when it refuses the whole order, and
    MeasurementError when it dies; after `timeout` seconds it is made to.
    """
    made: list[Artifact] = []
    refused: dict[str, str] = {}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            order.command(),
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(order.checkout),
            cwd=order.folder or order.checkout,
            text=True,
        )
        with process, _killing(process, timeout):
            for line in process.stdout or ():
                told = json.loads(line)
                if "refused" in told:
                    refused[told["recipe"]] = told["refused"]
                else:
                    made.append(artifact.read(Path(told["folder"])))
                on_each()
        if len(made) + len(refused) < len(order.recipes):
            errors.seek(0)
            raise _failure(errors.read())
    return Exported(tuple(made), refused)


@contextmanager
def _killing(process: subprocess.Popen[str], timeout: float) -> Iterator[None]:
    timer = threading.Timer(min(timeout, threading.TIMEOUT_MAX), process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _failure(errors: str) -> InputError | MeasurementError:
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    if last.startswith("mobileopt: "):
        return InputError(last.removeprefix("mobileopt: "))
    return MeasurementError(f"the export ended early: {last}")
