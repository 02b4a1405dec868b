import json
import subprocess
import sys

import pytest

from mobileopt.conditions import HARNESS, environment

PROGRAM = HARNESS / "mobileopt" / "pass_execution.py"
MODEL = "annotated_conv_bn_relu"


def told(*arguments, requests=()):
    done = subprocess.run(
        [sys.executable, "-P", str(PROGRAM), *arguments],
        input="".join(json.dumps(each) + "\n" for each in requests),
        env=environment(HARNESS), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_counting_says_what_each_pass_changes_and_why_one_cannot_be_done():
    fx, nhwc, unknown = told("--count", MODEL, "fx", "nhwc", "nonesuch")
    assert fx == {"pass": "fx", "changed": 1, "left": 0}
    assert nhwc["changed"] == 1
    assert "nonesuch" in unknown["refused"]


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
