import json
import shutil
import subprocess
import sys

import pytest

from mobileopt.conditions import HARNESS, environment

PROGRAM = HARNESS / "mobileopt" / "pass_execution.py"
MODEL = "annotated_conv_bn_relu"


def told(*arguments, requests=(), checkout=HARNESS):
    done = subprocess.run(
        [sys.executable, "-P", str(PROGRAM), *arguments],
        input="".join(json.dumps(each) + "\n" for each in requests),
        env=environment(checkout), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_counting_says_what_each_pass_changes_and_why_one_cannot_be_done():
    fx, nhwc, unknown = told("--count", MODEL, "fx", "nhwc", "nonesuch")
    assert fx == {"pass": "fx", "changed": 1, "left": 0}
    assert nhwc["changed"] == 1
    assert "nonesuch" in unknown["refused"]


@pytest.fixture
def printing(tmp_path):
    """A checkout whose folding pass prints what it does."""
    folder = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(HARNESS / "mobileopt", folder / "mobileopt", ignore=ignored)
    changed = folder / "mobileopt/optimizations/fold_conv_bn/__init__.py"
    with changed.open("a") as file:
        file.write("\n_silent = apply\ndef apply(*given):\n    print('folding')\n"
                   "    return _silent(*given)\n")  # fmt: skip
    return folder


def test_what_a_pass_prints_is_no_answer(printing):
    assert told("--count", MODEL, "fx", checkout=printing)[0]["changed"] == 1
    asked = {"samples": 2, "seconds": 0.0, "pass": "fx"}
    ready, times = told(MODEL, "fx", requests=[asked], checkout=printing)
    assert (ready["ready"], len(times["wall"])) == (MODEL, 2)


@pytest.fixture(scope="module")
def served():
    asked = [
        {"samples": 3, "seconds": 0.0, "pass": "fx"},
        {"samples": 1, "seconds": 0.05, "pass": "mobile"},
    ]
    return told(MODEL, "fx", "mobile", requests=asked)


def test_a_request_names_the_pass_and_how_often_it_is_applied(served):
    ready, three, long = served
    assert ready["ready"] == MODEL
    assert len(three["wall"]) == len(three["cpu"]) == 3
    assert sum(long["wall"]) >= 0.05


def test_times_are_above_zero_on_both_clocks(served):
    assert all(value > 0 for answer in served[1:] for clock in answer.values() for value in clock)
