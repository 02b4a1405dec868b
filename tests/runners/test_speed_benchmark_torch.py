from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.adb import WORK, files, probe
from mobileopt.artifact import Input
from mobileopt.errors import CapabilityError, MeasurementError, ProgramError
from mobileopt.run import Plan, Validity
from mobileopt.runners import Outcome
from mobileopt.runners import speed_benchmark_torch as runner
from mobileopt.validity import gate, judge
from tests.loopback.models import make
from tests.runners.outputs import captured, cases

pytest_plugins = ["tests.loopback.fixtures"]

PROGRAM = "speed_benchmark_torch"
PLAN = Plan(iterations=4, warmup=1, threads=1)
IMAGE = Input((1, 3, 8, 8), "float32", "contiguous_format")
FAILED = [case for case in cases(PROGRAM) if not case.startswith(("success", "no_", "too_"))]

# Known texts of the upstream binary on phones; nothing here can make it print them.
DOCUMENTED = [
    (
        "newer_model",
        134,
        "uncaught exception of type c10::Error: Attempted to read a PyTorch file with version 12, "
        "but the maximum supported version for reading is 10. Your PyTorch installation may be too "
        "old.",
    ),
    (
        "newer_model",
        134,
        "Lite Interpreter version number does not match. The model version must be between 3 and 7 "
        "but the model version is 8",
    ),
    (
        "missing_operator",
        134,
        "Following ops cannot be found. Check fburl.com/missing_ops: aten::x",
    ),
    ("missing_operator", 134, "Could not run 'prepacked::conv2d_clamp_run' with arguments from"),
    ("wrong_inputs", 134, "The following operation failed in the TorchScript interpreter."),
    ("missing_engine", 134, "Didn't find engine for operation quantized::conv2d_prepack NoQEngine"),
    ("wrong_abi", 126, "sh: /data/local/tmp/sb: not executable: 64-bit ELF file"),
    ("wrong_abi", 1, "sh: /data/local/tmp/sb: not executable: 64-bit ELF file"),
    ("wrong_abi", 127, "E: /data/local/tmp/sb[2]: \x7fELF\x02\x01: inaccessible or not found"),
    ("wrong_abi", 1, "E: /data/local/tmp/sb[2]: syntax error: unexpected EOF"),
    ("missing_library", 127, "sb: error while loading shared libraries: libc10.so: cannot open"),
    ("missing_library", 127, 'CANNOT LINK EXECUTABLE "./sb": library "libc++_shared.so" not found'),
    ("missing_program", 127, "sh: /data/local/tmp/sb: inaccessible or not found"),
    ("not_executable", 126, "sh: /data/local/tmp/sb: can't execute: Permission denied"),
    ("killed", 137, "Killed"),
    ("crashed", 139, "Segmentation fault"),
    ("aborted", 134, "Aborted"),
    ("failed", 3, ""),
]


def lines(values: list[str], summary: str = "100", unit: str = "Microseconds") -> str:
    told = "".join(
        f'PyTorchObserver {{"type": "NET", "unit": "us", "metric": "latency", "value": "{v}"}}\n'
        for v in values
    )
    return f"Main runs.\n{told}Main run finished. {unit} per iter: {summary}. Iters per second: 1\n"


@pytest.mark.parametrize("case", ["success", "success_lite"])
def test_every_time_is_a_sample_in_seconds(case):
    stdout, stderr, code = captured(PROGRAM, case)
    told = [int(value) for value in re.findall(r'"value": "(\d+)"', stdout)]
    outcome = runner.parse(stdout, stderr, code, PLAN)
    assert outcome.latency.samples == pytest.approx([each / 1e6 for each in told])
    assert outcome.doubts == ()


def test_an_old_version_tells_milliseconds_on_lines_that_say_microseconds():
    stdout, stderr, code = captured(PROGRAM, "success_old")
    told = [int(value) for value in re.findall(r'"value": "(\d+)"', stdout)]
    outcome = runner.parse(stdout, stderr, code, PLAN)
    assert outcome.latency.samples == pytest.approx([each / 1e3 for each in told])
    assert "whole milliseconds" in outcome.doubts[0]


def test_a_model_too_fast_for_whole_milliseconds_is_not_measured_as_zero():
    with pytest.raises(MeasurementError, match="above zero"):
        runner.parse(*captured(PROGRAM, "too_fast_for_old"), PLAN)


def test_a_crash_after_the_result_keeps_the_number_and_doubts_it():
    outcome = runner.parse(*captured(PROGRAM, "success_then_crash"), PLAN)
    assert len(outcome.latency.samples) == 4
    assert "crashed after it had finished" in outcome.doubts[0]


def test_above_a_second_the_summary_is_in_scientific_notation():
    outcome = runner.parse(lines(["2973520"], "2.97352e+06"), "", 0, Plan(iterations=1))
    assert outcome.latency.samples == pytest.approx([2.97352])
    assert outcome.doubts == ()


@pytest.mark.parametrize("case", FAILED)
def test_every_captured_failure_has_its_name_and_one_readable_sentence(case):
    with pytest.raises(ProgramError) as caught:
        runner.parse(*captured(PROGRAM, case), PLAN)
    assert case.startswith(caught.value.fault)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("speed_benchmark_torch failed: ")


@pytest.mark.parametrize(("fault", "code", "text"), DOCUMENTED)
def test_every_documented_failure_has_its_name(fault, code, text):
    with pytest.raises(ProgramError) as caught:
        runner.parse("Starting benchmark.\n", f"{text}\n", code, PLAN)
    assert caught.value.fault == fault


def test_an_infinite_time_with_exit_code_zero_is_a_failure():
    with pytest.raises(MeasurementError, match="'inf'"):
        runner.parse(*captured(PROGRAM, "no_iterations"), PLAN)


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "Main runs.\n",
        lines(["100"] * 3),
        lines(["100"] * 5),
        lines(["100", "100", "100", "inf"]),
        lines(["100", "100", "100", "nan"]),
        lines(["100", "100", "100", "-1"]),
        lines(["100", "100", "100", "x"]),
        lines(["100"] * 4, unit="Fortnights"),
        lines(["100"] * 4).replace('"value"', '"other"', 1),
        lines(["100"] * 4).replace("Main run finished", "Main run"),
    ],
)
def test_anything_but_the_asked_number_of_finite_samples_is_a_failure(stdout):
    with pytest.raises(MeasurementError):
        runner.parse(stdout, "", 0, PLAN)


def test_a_summary_shorter_than_its_parts_is_doubted():
    outcome = runner.parse(lines(["100"] * 4, "50"), "", 0, PLAN)
    assert "less than that of its times" in outcome.doubts[0]


@settings(deadline=None)
@given(stdout=st.text(), stderr=st.text(), code=st.integers(0, 255))
def test_no_output_whatsoever_is_taken_for_a_result_or_ends_in_a_traceback(stdout, stderr, code):
    with pytest.raises((ProgramError, MeasurementError)):
        runner.parse(stdout, stderr, code, PLAN)


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50))
def test_what_was_printed_is_what_is_read(values):
    told = lines([str(value) for value in values], f"{sum(values) / len(values) * 1.01:.9g}")
    outcome = runner.parse(told, "", 0, Plan(iterations=len(values)))
    assert outcome.latency.samples == pytest.approx([value / 1e6 for value in values])


def test_a_hostile_message_cannot_steer_the_terminal():
    with pytest.raises(ProgramError) as caught:
        runner.parse("", "\x1b]0;owned\x07 stoi \x1b[2J\n", 134, PLAN)
    assert "\x1b" not in str(caught.value)


def test_every_flag_has_its_value_and_threads_are_always_set():
    inputs = [IMAGE, Input((1, 10), "int64", "channels_last")]
    argv = runner.command("/p", "/m odel.ptl", inputs, Plan(iterations=20, warmup=5, threads=2))
    assert argv == [
        "/p",
        "--model=/m odel.ptl",
        "--input_dims=1,3,8,8;1,10",
        "--input_type=float;int64",
        "--input_memory_format=contiguous_format;channels_last",
        "--warmup=5",
        "--iter=20",
        "--pthreadpool_size=2",
        "--use_caching_allocator=false",
        "--report_pep=true",
    ]


def test_a_model_without_inputs_says_so():
    assert "--no_inputs=true" in runner.command("/p", "/m", [], PLAN)


@pytest.mark.parametrize(
    "wrong",
    [
        Input((1,), "float16", "contiguous_format"),
        Input((1,), "float32", "channels_last_3d"),
        Input((), "float32", "contiguous_format"),
    ],
)
def test_inputs_the_program_cannot_make_are_refused(wrong):
    with pytest.raises(CapabilityError, match="cannot make an input"):
        runner.command("/p", "/m", [wrong], PLAN)


def run_on(phone, root, model: Path, program: str, plan: Plan, inputs) -> Outcome:
    source = Path(__file__).parents[1] / "loopback/speed_benchmark_torch.py"
    installed = root.install(source, program)
    files.push(phone, model, f"{WORK}/models/{model.name}")
    argv = runner.command(installed, f"{WORK}/models/{model.name}", inputs, plan)
    result = phone.shell(argv, 120)
    return runner.parse(result.stdout, result.stderr, result.code, plan)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torch") / "models"
    make(folder)
    return folder


@pytest.mark.parametrize(
    ("program", "model"),
    [("speed_benchmark_torch", "conv.pt"), ("speed_benchmark_torch_lite", "conv.ptl")],
)
def test_a_model_is_pushed_run_and_timed_on_a_phone(connected, models, program, model):
    plan = Plan(iterations=7, warmup=2, threads=1)
    outcome = run_on(connected.phone, connected.root, models / model, program, plan, [IMAGE])
    assert len(outcome.latency.samples) == 7
    assert outcome.doubts == ()


def test_a_full_model_in_the_lite_build_fails_by_name_on_a_phone(connected, models):
    with pytest.raises(ProgramError) as caught:
        run_on(
            connected.phone, connected.root, models / "conv.pt", f"{PROGRAM}_lite", PLAN, [IMAGE]
        )
    assert caught.value.fault == "not_lite"


def test_a_crash_at_the_end_is_a_doubt_on_a_phone(connected, models):
    connected.root.write(f"{WORK}/knobs.json", json.dumps({"crash": True}))
    model = models / "conv.pt"
    outcome = run_on(connected.phone, connected.root, model, PROGRAM, PLAN, [IMAGE])
    assert len(outcome.doubts) == 1


def judged_run(connected, models: Path) -> Validity:
    """What a collector does, from the gate to the verdict."""
    phone, root, model = connected.phone, connected.root, models / "conv.pt"
    device = probe.describe(phone)
    before = gate(device, lambda: probe.state(phone))
    outcome = run_on(phone, root, model, PROGRAM, Plan(iterations=50), [IMAGE])
    after = probe.state(phone, closing=True)
    return judge(device, before, after, doubts=outcome.doubts)


def test_a_run_on_a_calm_phone_is_valid(connected, models):
    assert judged_run(connected, models).verdict == "valid"


def test_a_run_on_a_phone_that_throttles_is_invalid(connected, models):
    for cluster in (0, 4):
        connected.root.clock(cluster, khz=402_000)
    judged = judged_run(connected, models)
    assert judged.verdict == "invalid"
    assert "of its highest clock" in judged.reasons[0]


def test_a_model_runs_on_a_real_adbd(real_phone, models):
    box, phone = real_phone
    outcome = run_on(phone, box.root, models / "conv.pt", PROGRAM, PLAN, [IMAGE])
    assert len(outcome.latency.samples) == 4


def test_a_program_of_another_processor_is_named_on_a_real_adbd(real_phone):
    box, phone = real_phone
    nobody_has = b"\x34\x12"
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + nobody_has + bytes(44)
    program = box.root.folder / "data/local/tmp/foreign"
    program.write_bytes(header)
    program.chmod(0o755)
    result = phone.shell([f"{WORK}/foreign"])
    with pytest.raises(ProgramError) as caught:
        runner.parse(result.stdout, result.stderr, result.code, PLAN)
    assert caught.value.fault == "wrong_abi"
