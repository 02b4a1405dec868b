"""ExecuTorch's `executor_runner`.

It must be built with `EXECUTORCH_PAL_DEFAULT=posix` and `EXECUTORCH_ENABLE_LOGGING=ON`, or its
times go to Android's log and not to the terminal. It has no warm-up flag: the first executions
are the warm-up. Times of single iterations are printed from version 1.3 on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mobileopt.artifact import Input
from mobileopt.errors import CapabilityError, MeasurementError
from mobileopt.run import LATENCY, Measurement, Metric, Plan
from mobileopt.runners import SEGMENTATION_FAULT, Outcome, Symptom, failure, lines, number

SUFFIXES = (".pte",)
NAME = "executor_runner"
LOAD_TIME = Metric("load_time", "seconds")

SYMPTOMS = (
    Symptom(r"unknown command line flag", "unknown_flag", "this build does not know a flag"),
    Symptom(
        r"0x14\b|OperatorMissing|Missing operator",
        "missing_operator",
        "this build lacks an operator or a kernel of the model",
    ),
    Symptom(r"0x22\b|AccessFailed", "missing_model", "the model cannot be opened on the phone"),
    Symptom(
        # a damaged file has no such identifier at all
        r"Program identifier 'ET\d\d' != expected 'ET\d\d'",
        "newer_model",
        "the model is of a format that this build does not read",
    ),
    Symptom(r"0x23\b|InvalidProgram", "damaged_model", "the model is damaged or of a new format"),
    Symptom(
        r"0x20\b|Backend .{1,80} is not registered|NotFound",
        "missing_backend",
        "this build lacks a backend or a method the model needs",
    ),
)

_ITERATION = re.compile(r"Iteration (\S{1,40}) of \S{1,40}: (\S{1,40}) ms\b")
_LOADED = re.compile(r"Model loaded in (\S{1,40}) ms\b")
_TOTAL = re.compile(r"Model executed successfully (\S{1,40}) time\(s\) in (\S{1,40}) ms\b")


def command(program: str, model: str, inputs: Sequence[Input], plan: Plan) -> list[str]:
    """The command line, of flags every version knows; the program makes its own inputs.

    Raises CapabilityError for a plan with the caching allocator, which is PyTorch's.
    """
    del inputs  # their shapes are in the model
    if plan.caching_allocator:
        raise CapabilityError(f"{NAME} has no caching allocator")
    return [
        program,
        f"--model_path={model}",
        f"--num_executions={plan.warmup + plan.iterations}",
        f"--cpu_threads={plan.threads}",
    ]


def parse(stdout: str, stderr: str, code: int, asked: Plan) -> Outcome:
    """Read the time of each iteration, in seconds; the first `asked.warmup` are the warm-up.

    Raises ProgramError and MeasurementError as `Runner.parse` says, the latter too for a
    version that prints only the total of several executions.
    """
    text = [*lines(stdout), *lines(stderr)]
    total = next(_found(_TOTAL, text), None)
    if code not in (0, SEGMENTATION_FAULT) or (code and not total):
        raise failure(NAME, SYMPTOMS, stdout, stderr, code)
    if not total:
        raise MeasurementError(
            f"{NAME} printed no times; build it with EXECUTORCH_PAL_DEFAULT=posix and "
            "EXECUTORCH_ENABLE_LOGGING=ON"
        )
    times = _times(text, total, asked.warmup + asked.iterations)
    return Outcome(
        Measurement(LATENCY, times[asked.warmup :], times[: asked.warmup]),
        _load(text),
        (f"{NAME} crashed after it had finished",) if code else (),
    )


def _found(pattern: re.Pattern[str], text: Iterable[str]) -> Iterator[re.Match[str]]:
    return (found for line in text if (found := pattern.search(line)))


def _load(text: Iterable[str]) -> Measurement | None:
    """The time to load the model; None where it is not told, or shorter than its clock shows."""
    loaded = next(_found(_LOADED, text), None)
    seconds = number(loaded[1]) / 1e3 if loaded else 0.0
    return Measurement(LOAD_TIME, (seconds,)) if seconds > 0 else None


def _times(text: Sequence[str], total: re.Match[str], wanted: int) -> tuple[float, ...]:
    executions = number(total[1])
    found = list(_found(_ITERATION, text))
    if not found and wanted == executions == 1:
        return (number(total[2]) / 1e3,)
    if not found and executions == wanted:
        raise MeasurementError(
            f"this version of {NAME} prints only the total of {wanted} executions; "
            "version 1.3 prints each"
        )
    indices = [number(each[1]) for each in found]
    rising = [indices[0] + each for each in range(wanted)] if found else []
    if not executions == wanted == len(found) or indices != rising:
        raise MeasurementError(
            f"{NAME} printed {len(found)} times of {total[1]} executions, "
            f"{wanted} were asked for, each once"
        )
    return tuple(number(each[2]) / 1e3 for each in found)
