"""PyTorch's `speed_benchmark_torch`, of the lite and of the full interpreter.

It feeds ones, times every iteration in whole microseconds, and prints all times after the
loop. Old versions print milliseconds on lines that still say microseconds; the summary line
tells which. With a useless number of iterations it exits with 0 and an infinite time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from mobileopt.artifact import Input
from mobileopt.errors import CapabilityError, MeasurementError
from mobileopt.run import LATENCY, Measurement, Plan
from mobileopt.runners import SEGMENTATION_FAULT, Outcome, Symptom, failure, lines, number

SUFFIXES = (".ptl", ".pt")
NAME = "speed_benchmark_torch"
TYPES = {"float32": "float", "uint8": "uint8_t", "int64": "int64"}
LAYOUTS = ("contiguous_format", "channels_last")
UNITS = {"Microseconds": 1e-6, "Milliseconds": 1e-3}

SYMPTOMS = (
    Symptom(
        r"expecting a value for",
        "flag_without_value",
        "a flag lacks its value; write --flag=value",
    ),
    Symptom(
        r"unrecognized commandline argument",
        "unknown_flag",
        "this build does not know a flag",
    ),
    Symptom(
        r"open file failed because of errno|errno 2 on fopen",
        "missing_model",
        "the model is not on the phone",
    ),
    Symptom(r"not a ZIP archive", "empty_model", "the model file is empty or no model at all"),
    Symptom(
        r"bytecode\.pkl: file not found|file bytecode\.pkl",
        "not_lite",
        "a build of the lite interpreter takes only .ptl files",
    ),
    Symptom(
        r"maximum supported version for reading is|Lite Interpreter version number does not match",
        "newer_model",
        "the model is of a format that this build does not read",
    ),
    Symptom(
        r"PytorchStreamReader failed|failed finding central directory",
        "damaged_model",
        "the model file is damaged or cut short",
    ),
    Symptom(
        r"Input dims and format should have|Input dims and type should have|"
        r"Input dims must be specified|Input type must be specified",
        "missing_input_flag",
        "dims, type and memory format must each have one entry an input",
    ),
    Symptom(r"Unsupported input type", "bad_type", "it cannot make inputs of this type"),
    Symptom(r"\bstoi\b", "bad_dims", "the dims of an input are not numbers"),
    Symptom(
        r"NoQEngine|Didn't find engine for operation quantized",
        "missing_engine",
        "this build lacks the quantized engine the model was made for",
    ),
    Symptom(
        r"Following ops cannot be found|Could not run '|Unknown builtin op|"
        r"not supported in mobile",
        "missing_operator",
        "this build lacks an operator of the model",
    ),
    Symptom(
        r"Expected at most \d+ argument|is missing value for argument|expected at most",
        "wrong_input_count",
        "the model takes another number of inputs",
    ),
    Symptom(
        r"The following operation failed in the TorchScript interpreter|"
        r"Given groups=|mat1 and mat2|Expected .{1,200} (?:size|dtype|scalar type)",
        "wrong_inputs",
        "the model does not take inputs of these dims or this type",
    ),
)

_OBSERVED = re.compile(r"PyTorchObserver (\{[^][{}]{1,400}\})\s{0,8}$")
_SUMMARY = re.compile(r"Main run finished\. (\w{1,20}) per iter: (\S{1,40})\. Iters per second: \S")


def command(program: str, model: str, inputs: Sequence[Input], plan: Plan) -> list[str]:
    """The command line: every flag as `--flag=value`, threads and allocator always set.

    A bare flag would eat the next argument, and without a number of threads the program takes
    one by the phone's cores. Raises CapabilityError for inputs the program cannot make.
    """
    return [
        program,
        f"--model={model}",
        *_input_flags(inputs),
        f"--warmup={plan.warmup}",
        f"--iter={plan.iterations}",
        f"--pthreadpool_size={plan.threads}",
        f"--use_caching_allocator={str(plan.caching_allocator).lower()}",
        "--report_pep=true",
    ]


def parse(stdout: str, stderr: str, code: int, asked: Plan) -> Outcome:
    """Read the times of the main runs, in seconds; warm-up runs are not timed.

    A crash after a complete result, which Vulkan builds are known for, makes it doubtful, not
    void. Raises ProgramError and MeasurementError as `Runner.parse` says.
    """
    summary = next((found for line in lines(stdout) if (found := _SUMMARY.search(line))), None)
    if code not in (0, SEGMENTATION_FAULT) or (code and not summary):
        raise failure(NAME, SYMPTOMS, stdout, stderr, code)
    if not summary or summary[1] not in UNITS:
        raise MeasurementError(f"{NAME} ended without its line 'Main run finished'")
    scale = UNITS[summary[1]]
    samples = tuple(value * scale for value in _observed(stdout))
    if len(samples) != asked.iterations:
        raise MeasurementError(
            f"{NAME} printed {len(samples)} times, {asked.iterations} were asked for; "
            f"it says {summary[2][:20]!r} {summary[1].lower()} an iteration"
        )
    measured = Measurement(LATENCY, samples)
    return Outcome(measured, doubts=tuple(_doubts(measured, summary, code)))


def _input_flags(inputs: Sequence[Input]) -> list[str]:
    if not inputs:
        return ["--no_inputs=true"]
    for each in inputs:
        if each.dtype not in TYPES or each.memory_format not in LAYOUTS or not each.shape:
            raise CapabilityError(
                f"{NAME} cannot make an input of {each.dtype} {each.shape} in "
                f"{each.memory_format}; it knows {', '.join(TYPES)} in {', '.join(LAYOUTS)}"
            )
    dims = ";".join(",".join(map(str, each.shape)) for each in inputs)
    types = ";".join(TYPES[each.dtype] for each in inputs)
    formats = ";".join(each.memory_format for each in inputs)
    return [f"--input_dims={dims}", f"--input_type={types}", f"--input_memory_format={formats}"]


def _observed(stdout: str) -> Iterator[float]:
    for line in lines(stdout):
        found = _OBSERVED.search(line)
        fields = _fields(found[1]) if found else {}
        if fields.get("type") == "NET" and fields.get("metric") == "latency":
            yield number(str(fields.get("value")))


def _fields(line: str) -> dict[str, Any]:
    """The fields of a line; none of a garbled one, a missing sample that the count shows."""
    try:
        # numbers stay as they are written: the one reader of them is `number`
        return json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        return {}


def _doubts(measured: Measurement, summary: re.Match[str], code: int) -> Iterator[str]:
    scale = UNITS[summary[1]]
    if code == SEGMENTATION_FAULT:
        yield f"{NAME} crashed after it had finished"
    if scale > 1e-6:
        yield f"this old {NAME} tells times in whole milliseconds"
    try:
        told = number(summary[2]) * scale
    except MeasurementError:
        told = math.nan
    # The summary times the whole loop: it may be longer than its parts, never much shorter.
    if not fmean(measured.samples) <= told * 1.02 + scale:
        yield f"{NAME}'s own mean of {summary[2][:20]!r} is less than that of its times"
