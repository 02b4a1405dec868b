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
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mobileopt import artifact
from mobileopt.artifact import Artifact
from mobileopt.conditions import environment
from mobileopt.errors import InputError, MeasurementError
from mobileopt.variant import Recipe

_PAUSE = 0.2  # seconds between two looks whether an export is to end


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
    order: Order,
    on_each: Callable[[], object] = lambda: None,
    timeout: float = math.inf,
    stop: threading.Event | None = None,
) -> Exported:
    """Export every recipe that can be; `on_each` is called after each.

    Raises InputError with the other side's sentence when it refuses the whole order, and
    MeasurementError when it dies or answers something else; after `timeout` seconds, or when
    `stop` is set, it is made to.
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
            errors="replace",
        )
        with process, _ending(process, timeout, stop or threading.Event()) as ended:
            for line in process.stdout or ():
                told = _answer(line)
                if "refused" in told:
                    refused[told["recipe"]] = told["refused"]
                else:
                    made.append(artifact.read(Path(told["folder"])))
                on_each()
        if len(made) + len(refused) < len(order.recipes):
            errors.seek(0)
            raise _failure("".join(ended) or errors.read())
    return Exported(tuple(made), refused)


def _answer(line: str) -> dict[str, str]:
    """A line of the other side's; it may be an old commit's, which printed what it liked."""
    try:
        told: object = json.loads(line)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict):
        fields = cast(dict[str, object], told)
        wanted = {"recipe", "refused"} if "refused" in fields else {"folder"}
        if all(isinstance(fields.get(each), str) for each in wanted):
            return cast(dict[str, str], fields)
    raise MeasurementError(f"the export answered {line.strip()[:80]!r}, which is no answer")


@contextmanager
def _ending(
    process: subprocess.Popen[str], timeout: float, stop: threading.Event
) -> Iterator[list[str]]:
    """Make a process end when its time is up, it is to stop, or nobody reads it any more.

    Gives a list that then says why.
    """
    over, why = threading.Event(), list[str]()
    ends = time.monotonic() + timeout

    def watch() -> None:
        while not over.wait(_PAUSE):
            late = time.monotonic() > ends
            if late or stop.is_set():
                why.append(f"it took longer than {timeout:g} s" if late else "it was stopped")
                process.kill()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield why
    except BaseException:
        process.kill()  # else its `with` would wait for it to finish for nobody
        raise
    finally:
        over.set()
        watcher.join()


def _failure(errors: str) -> InputError | MeasurementError:
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    if last.startswith("mobileopt: "):
        return InputError(last.removeprefix("mobileopt: "))
    return MeasurementError(f"the export ended early: {last}")
