"""No output of a program may end a collection, or hold up the process that reads it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.errors import MeasurementError, MobileoptError
from mobileopt.run import Plan
from mobileopt.runners import executor_runner, failure, number, speed_benchmark_torch

PLAN = Plan(iterations=3, warmup=0, threads=1)
BIG = 2_000_000  # characters; with a quadratic pattern, hours

WORDS = ["147", "12.5", "2.97352e+06", "1.2.3", ".", "inf", "nan", "-1", "0", "0.000000", "1e999"]
WORDS += ["0x10", "1_000", "true", '"', "", "1 2", "\u0661\u0662"]
WORDS += ["9" * 5000, "1" + "0" * 400, "[" * 2000]
NUMBERS = st.one_of(
    st.sampled_from(WORDS),
    st.floats(allow_nan=True).map(str),
    st.text(max_size=20),
)


def observed(value: str, quoted: bool = True) -> str:
    told = f'"{value}"' if quoted else value
    return f'PyTorchObserver {{"type": "NET", "unit": "us", "metric": "latency", "value": {told}}}'


def summary(value: str, unit: str = "Microseconds") -> str:
    return f"Main run finished. {unit} per iter: {value}. Iters per second: 1"


OBSERVED = st.builds(observed, NUMBERS, st.booleans())
SUMMARY = st.builds(summary, NUMBERS, st.sampled_from(["Microseconds", "Milliseconds", "x" * 99]))
EXECUTED = st.one_of(
    st.builds("Iteration {} of {}: {} ms".format, NUMBERS, NUMBERS, NUMBERS),
    st.builds("Iteration {} of 3: {} ms".format, st.integers(0, 4), NUMBERS),
    st.builds("Model executed successfully {} time(s) in {} ms.".format, NUMBERS, NUMBERS),
    st.builds("Model executed successfully 3 time(s) in {} ms.".format, NUMBERS),
    st.builds("Model loaded in {} ms.".format, NUMBERS),
)
CODES = st.sampled_from([0, 0, 0, 139, 134])


def samples_or_an_error(runner, stdout: str, stderr: str, code: int, plan: Plan) -> None:
    try:
        outcome = runner.parse(stdout, stderr, code, plan)
    except MobileoptError:
        return
    assert len(outcome.latency.samples) == plan.iterations
    assert all(math.isfinite(each) and each > 0 for each in outcome.latency.samples)


def nearly(valid: list[str], garbled: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """Valid lines, of which some are replaced, and others put between."""
    return st.tuples(*(st.one_of(st.just(line), garbled) for line in valid), garbled).flatmap(
        lambda made: st.sampled_from([list(made[:-1]), list(made), list(made[::-1])])
    )


@settings(deadline=None, max_examples=300)
@given(
    nearly([*[observed("100")] * 3, summary("101")], OBSERVED | SUMMARY | st.text(max_size=40)),
    CODES,
)
def test_nearly_valid_output_of_speed_benchmark_torch_is_exact_or_an_error(made, code):
    samples_or_an_error(speed_benchmark_torch, "\n".join(made), "", code, PLAN)


ITERATIONS = [f"Iteration {index} of 3: 9.9 ms" for index in (1, 2, 3)]
EXECUTORCH = [
    "Model loaded in 5 ms.",
    *ITERATIONS,
    "Model executed successfully 3 time(s) in 30 ms.",
]


@settings(deadline=None, max_examples=300)
@given(nearly(EXECUTORCH, EXECUTED | st.text(max_size=40)), CODES)
def test_nearly_valid_output_of_executor_runner_is_exact_or_an_error(made, code):
    samples_or_an_error(executor_runner, "", "\n".join(made), code, PLAN)


@settings(deadline=None, max_examples=200)
@given(EXECUTED, NUMBERS)
def test_a_single_execution_is_exact_or_an_error(line, total):
    said = f"{line}\nModel executed successfully 1 time(s) in {total} ms."
    samples_or_an_error(executor_runner, said, "", 0, Plan(iterations=1))


def test_the_valid_lines_are_valid():
    plain = "\n".join([*[observed("100")] * 3, summary("101")])
    assert speed_benchmark_torch.parse(plain, "", 0, PLAN).latency.samples == pytest.approx(
        [1e-4] * 3
    )
    assert len(executor_runner.parse("", "\n".join(EXECUTORCH), 0, PLAN).latency.samples) == 3


@pytest.mark.parametrize(
    "line",
    [
        "Iteration 1 of 1: 1.2.3 ms",
        "Iteration 1 of 1: . ms",
        f"Iteration {'9' * 30} of 1: . ms",
        f"Iteration 1 of 1: {'9' * 30} ms",
        "Model executed successfully 1 time(s) in . ms.",
        f"Model executed successfully {'9' * 5000} time(s) in 1 ms.",
    ],
)
def test_a_number_that_is_none_is_a_measurement_error(line):
    end = "" if "executed" in line else "Model executed successfully 1 time(s) in 1 ms."
    with pytest.raises(MeasurementError):
        executor_runner.parse(f"{line}\n{end}", "", 0, Plan(iterations=1))


@pytest.mark.parametrize(
    "value", ["true", "1" + "0" * 400, "1" + "0" * 300, "[" * 5000, "null", "1e999", "NaN", "{}"]
)
def test_a_value_that_is_no_number_is_a_measurement_error(value):
    told = f"{observed(value, quoted=False)}\n{summary('100')}"
    with pytest.raises(MeasurementError):
        speed_benchmark_torch.parse(told, "", 0, Plan(iterations=1))


@pytest.mark.parametrize("value", ['1"}}}{', '1"} x', '1", "value": "2"} {"a": "', '1"}]'])
def test_a_line_with_something_behind_it_is_garbled_and_no_time(value):
    told = "\n".join([observed("100"), observed(value), observed("100"), summary("100")])
    with pytest.raises(MeasurementError, match="printed 2 times, 3 were asked for"):
        speed_benchmark_torch.parse(told, "", 0, PLAN)


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "+1", "-1", "1.", ".5", "1e", "inf", "nan", "1_0", "\u0661", "1e999"]
)
def test_a_number_is_written_as_programs_write_it(text):
    with pytest.raises(MeasurementError, match="where a finite number belongs"):
        number(text)


HOSTILE = (
    "PyTorchObserver {",
    'PyTorchObserver {"type": ',
    "Main run finished. Microseconds per iter: 1. ",
    "Main run finished. Microseconds per iter: ",
    "Iteration 1 of 1: ",
    "Iteration ",
    "Model executed successfully 1",
    "Model loaded in 1",
    "Expected ",
    "Backend ",
    "Expected \n",
    "\n",
    "9",
)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("runner", [speed_benchmark_torch, executor_runner])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_flood_is_an_error(runner, text):
    flood = text * (BIG // len(text))
    for code in (0, 134):
        with pytest.raises(MobileoptError):
            runner.parse(flood, flood, code, PLAN)


def test_the_reason_is_found_at_the_end_of_a_flood():
    said = "noise\n" * 500_000 + "Unsupported input type: float16\n"
    error = failure("it", speed_benchmark_torch.SYMPTOMS, said, "", 134)
    assert error.fault == "bad_type"
