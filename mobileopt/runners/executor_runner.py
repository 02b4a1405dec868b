"""ExecuTorch's `executor_runner`.

It must be built with `EXECUTORCH_PAL_DEFAULT=posix` and `EXECUTORCH_ENABLE_LOGGING=ON`, or its
times go to Android's log and not to the terminal. It has no warm-up flag: the first executions
are the warm-up. Times of single iterations are printed from version 1.3 on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mobileopt.artifact import Input
from mobileopt.errors import CapabilityError, MeasurementError
from mobileopt.run import LATENCY, Measurement, Metric, Plan
from mobileopt.runners import SEGMENTATION_FAULT, Outcome, Symptom, failure

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
    Symptom(r"0x23\b|InvalidProgram", "damaged_model", "the model is damaged or of a new format"),
    Symptom(
        r"0x20\b|Backend .* is not registered|NotFound",
        "missing_backend",
        "this build lacks a backend or a method the model needs",
    ),
)

_ITERATION = re.compile(r"Iteration (\d+) of (\d+): ([\d.]+(?:e[+-]?\d+)?) ms")
_LOADED = re.compile(r"Model loaded in ([\d.]+(?:e[+-]?\d+)?) ms")
_TOTAL = re.compile(r"Model executed successfully (\d+) time\(s\) in ([\d.]+(?:e[+-]?\d+)?) ms")


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
    text = f"{stdout}\n{stderr}"
    total = _TOTAL.search(text)
    if code not in (0, SEGMENTATION_FAULT) or (code and not total):
        raise failure(NAME, SYMPTOMS, stdout, stderr, code)
    if not total:
        raise MeasurementError(
            f"{NAME} printed no times; build it with EXECUTORCH_PAL_DEFAULT=posix and "
            "EXECUTORCH_ENABLE_LOGGING=ON"
        )
    times = _times(text, total, asked.warmup + asked.iterations)
    loaded = _LOADED.search(text)
    return Outcome(
        Measurement(LATENCY, times[asked.warmup :], times[: asked.warmup]),
        Measurement(LOAD_TIME, (float(loaded[1]) / 1e3,)) if loaded else None,
        (f"{NAME} crashed after it had finished",) if code else (),
    )


def _times(text: str, total: re.Match[str], wanted: int) -> tuple[float, ...]:
    found = [(int(index), float(ms) / 1e3) for index, _, ms in _ITERATION.findall(text)]
    if not found and wanted == int(total[1]) == 1:
        return (float(total[2]) / 1e3,)
    if not found and int(total[1]) == wanted:
        raise MeasurementError(
            f"this version of {NAME} prints only the total of {wanted} executions; "
            "version 1.3 prints each"
        )
    indices = [index for index, _ in found]
    if len(found) != wanted or int(total[1]) != wanted or indices != sorted(set(indices)):
        raise MeasurementError(
            f"{NAME} printed {len(found)} times of {total[1]} executions, {wanted} were asked for"
        )
    return tuple(seconds for _, seconds in found)
