from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.nightly import suspects
from mobileopt.run import Metric
from mobileopt.series import Origin, Point, Series
from mobileopt.variant import Variant

VARIANT = Variant.parse("mlp/fused-float-nchw-mobile")
COMMITS = [f"{number:040x}" for number in range(10)]
LATENCY, PASS = Metric("latency.time_forward", "seconds"), Metric("passes.time_apply", "seconds")


def series(values, metric=LATENCY, variant=VARIANT, settings=(), device="host"):
    start = datetime(2026, 3, 1, tzinfo=UTC)
    points = [
        Point(commit, start + timedelta(hours=number), value)
        for number, (commit, value) in enumerate(zip(COMMITS, values, strict=False))
    ]
    return Series(Origin(variant, device, metric, "1", "env", settings), tuple(points))


def find(*histories, recent=frozenset(COMMITS)):
    return suspects.find(histories, recent, min_effect=0.03, sensitivity=3.0)


SLOWER = [1.0, 1.001, 1.0, 0.999, 1.0, 1.2, 1.201, 1.2, 1.199, 1.2]


def test_a_suspicion_names_commits_on_both_sides():
    [found] = find(series(SLOWER))
    assert (found.good, found.first, found.bad) == (COMMITS[2], COMMITS[5], COMMITS[7])
    assert found.worse
    assert found.variant == str(VARIANT)


def test_the_worse_come_first_and_of_them_the_surest():
    faster = [1 / value for value in SLOWER]
    surer = [value**3 for value in SLOWER]
    found = find(series(faster), series(SLOWER, device="a"), series(surer, device="b"))
    assert [each.machine for each in found] == ["b", "a", "host"]


def test_what_shows_at_an_old_commit_is_no_suspicion():
    assert find(series(SLOWER), recent=frozenset(COMMITS[6:])) == []


@pytest.mark.parametrize(
    ("metric", "variant", "settings", "judged"),
    [
        (LATENCY, VARIANT, (), True),
        (LATENCY, VARIANT, (("threads", "4"),), False),
        (Metric("size.track_artifact", "bytes"), VARIANT, (), True),
        (Metric("memory.peakmem_forward", "bytes"), VARIANT, (), False),
        (PASS, None, (("model", "mlp"), ("optimization", "fx")), True),
        (Metric("somebody.time_else", "seconds"), None, (), False),
    ],
)
def test_only_what_can_be_measured_again_is_suspected(metric, variant, settings, judged):
    assert bool(find(series(SLOWER, metric, variant, settings))) == judged


def test_a_pass_is_named_by_its_model_and_its_word():
    settings = (("model", "mlp"), ("optimization", "fx"))
    assert find(series(SLOWER, PASS, None, settings))[0].variant == "mlp/fx"


def test_a_time_of_zero_has_no_ratio_and_is_left_out():
    assert find(series([0.0, *SLOWER[1:]])) == []


NOISE = Metric("fidelity.track_noise", "ratio")
DISAGREEMENT = Metric("fidelity.track_top1_disagreement", "fraction")


def test_errors_that_are_the_rounding_of_float32_are_no_change():
    assert find(series([1.30e-6] * 5 + [1.45e-6] * 5, NOISE)) == []


def test_an_error_that_comes_from_nothing_is_suspected():
    [found] = find(series([0.0] * 5 + [0.5] * 5, DISAGREEMENT))
    assert (found.first, found.worse) == (COMMITS[5], True)


def test_gaps_are_the_results_beside_a_change_each_once():
    found = find(series(SLOWER))
    assert suspects.gaps([*found, *found], [series(SLOWER)]) == [(COMMITS[4], COMMITS[5])]


@given(
    st.integers(0, 20),
    st.integers(0, 20),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20))),
)
def test_a_span_is_covered_when_no_step_between_commits_is_left_out(good, bad, spans):
    steps = set(range(good, bad))
    known = {step for low, high in spans for step in range(low, high)}
    assert suspects.covered(good, bad, spans) == (steps <= known)
