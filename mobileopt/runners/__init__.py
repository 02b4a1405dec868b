"""Programs that run an artifact, one file each.

A runner for a phone is a module with `SUFFIXES`, `command()` and `parse()`, as `Runner` says.
A new one is one new file here and one captured output in `tests/data/`; `names()` finds it.
"""

from __future__ import annotations

import importlib
import io
import math
import pkgutil
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from mobileopt.artifact import Input
from mobileopt.errors import MeasurementError, ProgramError, UnknownNameError
from mobileopt.run import Measurement, Plan

SEGMENTATION_FAULT, ABORTED, KILLED = 139, 134, 137

# A pattern is searched without a pause for other threads, so what it is given is bounded.
_LINE, _SAID = 4096, 256 << 10
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e[+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Outcome:
    """What a program measured. `doubts` are reasons to suspect the numbers, one sentence each.

    `load` is the time to load the model, where the program tells it.
    """

    latency: Measurement
    load: Measurement | None = None
    doubts: tuple[str, ...] = ()


class Runner(Protocol):
    """What a runner's module has."""

    @property
    def SUFFIXES(self) -> tuple[str, ...]:
        """Endings of the artifact files it takes: `.ptl`."""
        ...

    def command(self, program: str, model: str, inputs: Sequence[Input], plan: Plan) -> list[str]:
        """The command line; `program` and `model` are paths where it will run.

        Raises CapabilityError when the program cannot feed such inputs.
        """
        ...

    def parse(self, stdout: str, stderr: str, code: int, asked: Plan) -> Outcome:
        """Read what it printed; `code` is its exit code, 128 + n for signal n.

        Raises ProgramError when it failed, with the reason by name, and MeasurementError
        when it did not and yet there is not exactly the asked number of finite samples.
        """
        ...


@dataclass(frozen=True)
class Symptom:
    """A pattern in what a program printed, the name of the fault it shows, and a sentence."""

    pattern: str
    fault: str
    sentence: str


SHELL = (
    Symptom(
        # some shells try to read a foreign binary as a script
        r"not executable: \d\d-bit ELF|Exec format error|cannot execute binary|"
        r"\x7fELF|[Ss]yntax error: ",
        "wrong_abi",
        "it is built for another processor than the phone's",
    ),
    Symptom(
        r"error while loading shared libraries|CANNOT LINK EXECUTABLE",
        "missing_library",
        "a shared library it needs is not on the phone",
    ),
    Symptom(r"Permission denied|can't execute", "not_executable", "the phone may not execute it"),
    Symptom(r"not found$|No such file or directory$", "missing_program", "it is not on the phone"),
)
"""What the phone's shell says when a program does not even start."""


def names() -> tuple[str, ...]:
    """The runners there are, by name."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if _is_runner(name)))


def load(name: str) -> Runner:
    """A runner by name; raises UnknownNameError."""
    if name not in names():
        raise UnknownNameError("runner", name, names())
    return cast(Runner, importlib.import_module(f"{__name__}.{name}"))


def lines(text: str) -> Iterator[str]:
    """The lines of what a program printed, each cut where no line of a program's own ends.

    >>> list(lines("Main runs.\\n147"))
    ['Main runs.', '147']
    """
    for line in io.StringIO(text):
        yield line[:_LINE].removesuffix("\n")


def number(text: str) -> float:
    """A number as programs print it: `147`, `94.8776`, `2.97352e+06`.

    Raises MeasurementError for anything else, an infinite one too: it comes from a phone.

    >>> number("2.97352e+06")
    2973520.0
    """
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise MeasurementError(f"{text[:40]!r} was printed where a finite number belongs")
    return value


def failure(
    program: str, symptoms: Sequence[Symptom], stdout: str, stderr: str, code: int
) -> ProgramError:
    """The named error for a program that failed, by the first symptom in what it printed."""
    text = "\n".join((*lines(stderr[-_SAID:]), *lines(stdout[-_SAID:])))
    shell = SHELL if code in (1, 2, 126, 127) else ()
    for symptom in (*symptoms, *shell):
        found = re.search(symptom.pattern, text, re.MULTILINE)
        if found:
            line = _line(text, found.start())
            return ProgramError(symptom.fault, f"{program} failed: {symptom.sentence} ({line!r})")
    fault, sentence = {
        KILLED: ("killed", "it was killed, most likely for want of memory"),
        SEGMENTATION_FAULT: ("crashed", "it crashed with a segmentation fault"),
        ABORTED: ("aborted", "it aborted"),
    }.get(code, ("failed", f"its exit code was {code}"))
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    return ProgramError(fault, f"{program} failed: {sentence} ({last[:200]!r})")


def _line(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    return text[start:].partition("\n")[0].strip()[:200]


def _is_runner(name: str) -> bool:
    module = importlib.import_module(f"{__name__}.{name}")
    return all(hasattr(module, part) for part in ("SUFFIXES", "command", "parse"))
