from __future__ import annotations

import pytest

from mobileopt.nightly import echoes
from nightly.test_suspects import COMMITS, PASS, SLOWER, VARIANT, series

PLACE = {commit: number for number, commit in enumerate(COMMITS)}
CHANGE = {
    "machine": "phone", "metric": "latency.time_forward", "variant": str(VARIANT), "worse": True,
    "commit": COMMITS[5], "parent": COMMITS[4], "how": "session",
}  # fmt: skip
LOUD = [1.0, 1.4, 0.8, 1.2, 0.9, 1.1, 1.5, 0.9, 1.3, 1.0]


def find(history, **change):
    return echoes.find([CHANGE | change], [history], PLACE)


def test_a_history_too_loud_to_be_suspected_is_asked_about_the_commit_alone():
    [echo] = find(series(LOUD))
    assert (echo.machine, echo.good, echo.bad, echo.first) == (
        "host", COMMITS[4], COMMITS[5], COMMITS[5],
    )  # fmt: skip
    assert echo.worse


@pytest.mark.parametrize(
    "history",
    [
        series(SLOWER, device="phone"),
        series(SLOWER, metric=PASS),
        series(SLOWER, settings=(("threads", "4"),)),
        series([1 / value for value in SLOWER]),
        series(SLOWER[:5]),
    ],
    ids=["the same machine", "another metric", "other work", "leans the other way", "no results"],
)
def test_a_history_that_cannot_have_missed_it_is_not_asked(history):
    assert find(history) == []


@pytest.mark.parametrize("change", [{"how": "exact"}, {"commit": ""}, {"worse": False}])
def test_only_a_slowdown_of_one_commit_that_a_session_saw_is_looked_for(change):
    assert find(series(SLOWER), **change) == []
