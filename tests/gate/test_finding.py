import math
from datetime import date

import pytest

from mobileopt.accepted import Accepted
from mobileopt.gate.finding import (
    CANNOT_TELL,
    CHANGED,
    DISAGREEMENT,
    NOISE,
    NOTHING_WORSE,
    SIZE,
    WORSE,
    Finding,
    Result,
    accept,
    amount,
    exact,
    refused,
)

VARIANT = "mobilenet_v2/fx-float-nchw-mobile"


def result(*findings, **changes):
    fields = {"threshold": 0.05, "seconds": 1.0, "skipped": {}} | changes
    return Result("a" * 40, "b" * 40, findings, **fields)


def timed(outcome, ratio=1.0, reason=""):
    return Finding("latency.time_forward", VARIANT, outcome, 0.1, 0.1 * ratio, ratio,
                   ratio - 0.01, ratio + 0.01, reason)  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "base", "head", "outcome"),
    [
        (SIZE, 1000, 1000, "ok"),
        (SIZE, 1000, 1001, "worse"),
        (SIZE, 1000, 999, "ok"),
        (NOISE, 0.1, 0.1000001, "worse"),
        (NOISE, 7.5e-6, 7.6e-6, "ok"),  # the rounding of float32
        (NOISE, 0.0, 0.02, "worse"),
        (DISAGREEMENT, 0.0, 0.0625, "worse"),
        (CHANGED, 52, 52, "ok"),
        (CHANGED, 52, 51, "worse"),
        (CHANGED, 52, 53, "ok"),
        (CHANGED, 0, 0, "ok"),
        (CHANGED, 1, 0, "worse"),
    ],
)
def test_what_is_exact_is_judged_exactly(metric, base, head, outcome):
    assert exact(metric, VARIANT, base, head).outcome == outcome


def test_nothing_worse_exits_0():
    assert result(exact(SIZE, VARIANT, 10, 10), timed("ok")).exit_code == NOTHING_WORSE


def test_anything_worse_exits_1_even_beside_what_cannot_be_told():
    found = result(timed("unclear"), timed("worse", 1.1), timed("ok"))
    assert found.exit_code == WORSE
    assert found.sentence == f"latency.time_forward of {VARIANT} is +10.0 % (+9.0 to +11.0 %) worse"


def test_what_cannot_be_told_exits_2_with_its_reason():
    found = result(timed("unclear", reason="a neighbour"), timed("ok"))
    assert found.exit_code == CANNOT_TELL
    assert found.sentence.endswith("a neighbour")


def test_nothing_compared_cannot_be_told():
    assert result().exit_code == CANNOT_TELL


def test_what_the_head_cannot_export_is_worse():
    found = result(refused(VARIANT, "torch says no"))
    assert found.exit_code == WORSE
    assert found.findings[0].reason == "torch says no"
    assert amount(found.findings[0]) == "infinitely"


def test_an_accepted_worsening_passes_and_carries_its_reason():
    entry = Accepted(SIZE, "mobilenet_v2/*", 1.02, "a larger head", date(2999, 1, 1))
    [found] = accept([exact(SIZE, VARIANT, 1000, 1015)], [entry], [])
    assert (found.outcome, found.reason) == ("accepted", "a larger head")
    assert result(found).exit_code == NOTHING_WORSE


def test_more_than_was_accepted_stays_worse():
    entry = Accepted(SIZE, "mobilenet_v2/*", 1.02, "a larger head", date(2999, 1, 1))
    [found] = accept([exact(SIZE, VARIANT, 1000, 1025)], [entry], [])
    assert found.outcome == "worse"


def test_a_loss_from_nothing_can_be_accepted_without_bound():
    entry = Accepted(NOISE, VARIANT, math.inf, "int8 now", date(2999, 1, 1))
    [found] = accept([exact(NOISE, VARIANT, 0.0, 0.02)], [entry], [])
    assert found.outcome == "accepted"
