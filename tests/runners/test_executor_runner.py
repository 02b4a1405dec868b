from __future__ import annotations

import pytest

from mobileopt.errors import CapabilityError, MeasurementError, ProgramError
from mobileopt.run import Plan
from mobileopt.runners import executor_runner as runner
from tests.runners.outputs import captured, cases

PROGRAM = "executor_runner"
PLAN = Plan(iterations=3, warmup=2, threads=2)
FAILED = [case for case in cases(PROGRAM) if case not in ("success", "total_only")]


def test_the_first_executions_are_the_warm_up():
    outcome = runner.parse(*captured(PROGRAM, "success"), PLAN)
    assert outcome.latency.warmup == pytest.approx((0.014203, 0.010121))
    assert outcome.latency.samples == pytest.approx((0.009906, 0.009902, 0.009895))


def test_the_time_to_load_is_a_measurement_of_its_own():
    outcome = runner.parse(*captured(PROGRAM, "success"), PLAN)
    assert outcome.load is not None
    assert outcome.load.metric.name == "load_time"
    assert outcome.load.samples == pytest.approx((0.011764,))


@pytest.mark.parametrize("case", FAILED)
def test_every_status_has_its_name(case):
    with pytest.raises(ProgramError) as caught:
        runner.parse(*captured(PROGRAM, case), PLAN)
    assert caught.value.fault == case


def test_a_program_of_another_format_is_told_from_a_damaged_one():
    """Known texts of the runtime; both end in the status of an invalid program."""
    end = "Loading of method forward failed with status 0x23\nAborted"
    for identifier, fault in (("ET13", "newer_model"), ("\x00\x17PK", "damaged_model")):
        said = f"E executorch:program.cpp] Program identifier '{identifier}' != expected 'ET12'"
        with pytest.raises(ProgramError) as caught:
            runner.parse("", f"{said}\n{end}", 134, PLAN)
        assert caught.value.fault == fault


def test_a_model_that_loads_faster_than_the_clock_shows_is_measured_all_the_same():
    stdout, stderr, code = captured(PROGRAM, "success")
    said = stderr.replace("loaded in 11.764000 ms", "loaded in 0.000000 ms")
    outcome = runner.parse(stdout, said, code, PLAN)
    assert len(outcome.latency.samples) == 3
    assert outcome.load is None


def test_a_version_that_prints_only_the_total_is_refused_with_the_remedy():
    with pytest.raises(MeasurementError, match=r"version 1\.3 prints each"):
        runner.parse(*captured(PROGRAM, "total_only"), PLAN)


def test_a_single_execution_needs_only_the_total():
    text = "Model executed successfully 1 time(s) in 12.5 ms."
    outcome = runner.parse("", text, 0, Plan(iterations=1, warmup=0))
    assert outcome.latency.samples == (0.0125,)


def test_a_build_without_terminal_logging_is_named():
    with pytest.raises(MeasurementError, match="EXECUTORCH_PAL_DEFAULT=posix"):
        runner.parse("", "", 0, PLAN)


@pytest.mark.parametrize("plan", [Plan(iterations=4, warmup=2), Plan(iterations=2, warmup=2)])
def test_another_number_of_executions_than_asked_is_a_failure(plan):
    with pytest.raises(MeasurementError):
        runner.parse(*captured(PROGRAM, "success"), plan)


def test_a_repeated_iteration_is_a_failure():
    stdout, stderr, code = captured(PROGRAM, "success")
    with pytest.raises(MeasurementError):
        runner.parse(stdout, stderr.replace("Iteration 2 of", "Iteration 1 of"), code, PLAN)


def test_the_command_asks_for_warm_up_and_iterations_together():
    assert runner.command("/p", "/m.pte", [], PLAN) == [
        "/p",
        "--model_path=/m.pte",
        "--num_executions=5",
        "--cpu_threads=2",
    ]


def test_the_caching_allocator_is_refused_because_it_is_pytorchs():
    with pytest.raises(CapabilityError, match="no caching allocator"):
        runner.command("/p", "/m.pte", [], Plan(caching_allocator=True))
