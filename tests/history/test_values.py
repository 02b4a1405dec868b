import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mobileopt.commits import Commit
from mobileopt.history import Change, Keyed, Lines, subject
from mobileopt.run import Metric
from mobileopt.series import Origin
from mobileopt.variant import Variant

VARIANT = Variant.parse("mobilenet_v2/fx-float-nchw-mobile")
ORIGIN = Origin(VARIANT, "pixel6", Metric("latency.time_forward", "seconds"), "1", "py3.11")
DAY = datetime(2026, 1, 1, tzinfo=UTC)
WORSE = Change(
    ORIGIN, "a" * 40, "b" * 40, ("b" * 40,), DAY, before=0.1, after=0.12, low=1.1, high=1.3,
    confidence=0.9, cause="commit", state="open",
)  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": replace(ORIGIN, device="pixel7")},
        {"origin": replace(ORIGIN, metric=Metric("latency.time_load", "seconds"))},
        {"origin": replace(ORIGIN, variant=Variant.parse("mlp/fx-float-nchw-mobile"))},
        {"origin": replace(ORIGIN, version="2")},
        {"origin": replace(ORIGIN, environment="py3.12")},
        {"origin": replace(ORIGIN, settings=(("threads", "4"),))},
        {"first_after": "c" * 40},
    ],
)
def test_another_change_has_another_identity(changed):
    assert replace(WORSE, **changed).identity != WORSE.identity


def test_what_becomes_of_a_change_leaves_its_identity():
    later = replace(WORSE, state="fixed", ended_by="d" * 40, after=0.13, confidence=0.99)
    assert later.identity == WORSE.identity
    assert WORSE.identity.startswith("urn:uuid:")


def test_a_change_is_one_sentence_that_names_its_commit_as_far_as_it_is_known():
    assert WORSE.sentence() == (
        f"latency.time_forward of {VARIANT} on pixel6 got worse by 20.0% at bbbbbbbb: open"
    )
    known = replace(WORSE, commit=Commit("b" * 40, "Ada", DAY, "Fold less"), after=0.05)
    assert "got better by 50.0% at bbbbbbbb (Fold less)" in known.sentence()


@pytest.mark.parametrize(
    ("before", "after", "ratio", "direction"),
    [
        (0.1, 0.2, 2.0, "worse"),
        (0.2, 0.1, 0.5, "better"),
        (0.0, 0.1, math.inf, "worse"),
        (0.1, 0.0, 0.0, "better"),
    ],
)
def test_more_of_anything_is_worse_also_from_nothing(before, after, ratio, direction):
    change = replace(WORSE, before=before, after=after)
    assert (change.ratio, change.direction) == (ratio, direction)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, "mobilenet_v2/fx-float-nchw-mobile"),
        (
            {"settings": (("mode", "eco"), ("threads", "4"))},
            "mobilenet_v2/fx-float-nchw-mobile, mode=eco, threads=4",
        ),
        ({"variant": None, "settings": (("model", "mlp"), ("pass", "fx"))}, "mlp/fx"),
        ({"variant": None}, "latency.time_forward"),
    ],
)
def test_what_was_measured_is_named_by_its_parameters(changed, name):
    assert subject(replace(ORIGIN, **changed)) == name


def test_a_span_has_the_commits_nobody_measured_and_not_the_last_good_one():
    lines = Lines({}, ("a", "d"), {}, ("a", "b", "c", "d"))
    found = Keyed(lines, {}, {}, frozenset(), {each: at for at, each in enumerate(lines.every)})
    assert found.span("a", "d") == ("b", "c", "d")
