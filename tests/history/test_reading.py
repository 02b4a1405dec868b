import math
from datetime import UTC, datetime

import numpy as np
import pytest
from measured_repository import LATENCY, QUIET, git, repository, scaled, store

from mobileopt.history import Lines, collect, detectable, lowered, read
from mobileopt.run import Metric
from mobileopt.series import Origin

N = len(QUIET)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def keyed(values):
    """What the detector gets of some origins' values."""
    axis = tuple("abcdef")
    dates = dict.fromkeys(axis, datetime(2026, 1, 1, tzinfo=UTC))
    arrays = {origin: np.array(each, float) for origin, each in values.items()}
    return detectable(Lines(arrays, axis, dates, axis))


def origin(unit="seconds", **changed):
    fields = {"variant": None, "device": "phone", "version": "1", "environment": "torch2.12"}
    return Origin(**fields | changed, metric=Metric("a.time_x", unit))


def test_without_the_repository_the_dates_order_the_commits(tmp_path):
    hashes = [f"{number:02x}" * 20 for number in range(2 * N)]
    [change] = collect(store(tmp_path / "results", hashes, [*QUIET, *scaled(1.2)]))
    assert change.first_after == hashes[N]
    assert change.commit is None


def test_a_commit_the_repository_cannot_reach_is_left_out(tmp_path):
    hashes = repository(tmp_path / "code", 2 * N)
    results = tmp_path / "results"
    store(results, hashes, [*QUIET, *scaled(1.2)])
    strangers = store(results, ["f" * 40], [9.0], metric=LATENCY)
    [change] = collect(strangers, repository=tmp_path / "code")
    assert change.first_after == hashes[N]
    assert read(strangers, tmp_path / "code").axis == tuple(hashes)


def test_a_branch_that_is_ahead_of_the_checkout_is_followed(tmp_path):
    hashes = repository(tmp_path / "code", 2 * N)
    git(tmp_path / "code", "checkout", "-q", "--detach", hashes[N - 1])
    made = store(tmp_path / "results", hashes, [*QUIET, *scaled(1.2)])
    assert collect(made, repository=tmp_path / "code") == []
    [change] = collect(made, repository=tmp_path / "code", branch="main")
    assert change.first_after == hashes[N]


def test_one_thing_measured_on_two_machines_has_one_name():
    found = keyed({origin(device="host"): [1.0] * 6, origin(device="phone"): [1.0] * 6})
    assert {each.machine for each in found.origins} == {"host", "phone"}
    assert len({each.name for each in found.origins}) == 1


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_environments_what_was_measured_last_has_the_plain_name(turned):
    old, new = origin(environment="torch2.13"), origin(environment="torch2.12")
    values = {old: [1.0, 1.0, 1.0, None, None, None], new: [None, None, None, None, 1.0, 1.0]}
    found = keyed(dict(reversed(values.items())) if turned else values)
    names = {origin.environment: key.name for key, origin in found.origins.items()}
    assert names["torch2.13"] == f"{names['torch2.12']} torch2.13"
    assert {found.origins[key] for key in found.past} == {old}


def test_a_series_is_over_only_when_the_same_thing_went_on():
    ended, other = [1.0, 1.0, None, None, None, None], [1.0] * 6
    another_machine = keyed({origin(): ended, origin(device="host"): other})
    assert another_machine.past == frozenset()
    new_version = keyed({origin(): ended, origin(version="2"): other})
    assert [each.version for each in map(new_version.origins.get, new_version.past)] == ["1"]


def test_what_has_no_level_is_a_gap_and_what_is_nothing_else_counts_as_nothing():
    ((_, time),) = keyed({origin(): [1.0, 0.0, -1.0, None, 2.0, 1.0]}).values.items()
    assert [math.isnan(value) for value in time] == [False, True, True, True, False, False]
    ((_, size),) = keyed({origin("bytes"): [0.0, 0.0, 8.0, None, 0.0, 0.0]}).values.items()
    assert (size[0], size[2], math.isnan(size[3])) == (0.5, 8.0, True)
    assert [lowered(level, origin("bytes")) for level in (size[0], size[2])] == [0.0, 8.0]


def test_a_series_without_any_level_is_none():
    assert not keyed({origin(): [0.0, -1.0, None, None, None, None]}).values
