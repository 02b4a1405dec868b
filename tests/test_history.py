import math
from datetime import date

import pytest
from measured_repository import (
    LATENCY,
    QUIET,
    VARIANT,
    commit,
    repository,
    scaled,
    store,
)

from mobileopt.accepted import Accepted
from mobileopt.history import collect, select
from mobileopt.store import Store

N = len(QUIET)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def measured(tmp_path):
    """Store the values given, the first at the repository's first commit, and collect."""

    def measured(*values, accepted=(), **options):
        hashes = repository(tmp_path / "code", len(values))
        made = store(tmp_path / "results", hashes, values, **options)
        return hashes, collect(made, repository=tmp_path / "code", accepted=accepted)

    return measured


def test_a_worsening_that_holds_is_open_with_its_commit_size_and_interval(measured):
    hashes, [change] = measured(*QUIET, *scaled(1.2))
    assert (change.state, change.direction) == ("open", "worse")
    assert (change.last_before, change.first_after) == (hashes[N - 1], hashes[N])
    assert change.span == (hashes[N],)
    assert change.size == pytest.approx(0.2, abs=0.01)
    assert 1.15 < change.low < change.ratio < change.high < 1.25
    assert change.commit.subject == f"work {N}"
    assert change.commit.author == "Ada"
    assert change.machine == "pixel6"
    assert (change.metric.name, change.subject) == (LATENCY, VARIANT)


def test_its_span_holds_the_commits_that_were_not_measured(measured):
    hashes, [change] = measured(*QUIET, None, None, *scaled(1.2))
    assert change.span == tuple(hashes[N : N + 3])


def test_a_worsening_that_was_taken_back_is_fixed_by_the_later_commit(measured):
    hashes, found = measured(*QUIET, *scaled(1.2), *QUIET)
    better, worse = found
    assert (worse.state, worse.ended_by) == ("fixed", hashes[2 * N])
    assert (better.direction, better.state) == ("better", "kept")


def test_half_a_fix_leaves_it_open(measured):
    _, found = measured(*QUIET, *scaled(1.3), *scaled(1.15))
    assert [change.state for change in select(found, direction="worse")] == ["open"]


def test_an_improvement_that_went_away_is_lost(measured):
    _, found = measured(*QUIET, *scaled(0.8), *QUIET)
    assert [change.state for change in found] == ["open", "lost"]


def test_an_accepted_worsening_names_its_entry(measured):
    entry = Accepted(LATENCY, "mobilenet_v2/*", 1.25, "a larger head", date(2999, 1, 1))
    _, [change] = measured(*QUIET, *scaled(1.2), accepted=[entry])
    assert (change.state, change.accepted) == ("accepted", entry)


@pytest.mark.parametrize(
    "entry",
    [
        Accepted(LATENCY, VARIANT, 1.1, "too little", date(2999, 1, 1)),
        Accepted(LATENCY, VARIANT, 1.3, "expired", date(2020, 1, 1)),
        Accepted(LATENCY, VARIANT, 1.3, "another commit", date(2999, 1, 1), commit="feedbeef"),
        Accepted(LATENCY, VARIANT, 1.3, "another machine", date(2999, 1, 1), machine="pixel9"),
        Accepted("size.*", VARIANT, 1.3, "another metric", date(2999, 1, 1)),
    ],
    ids=lambda entry: entry.reason,
)
def test_an_entry_that_does_not_cover_it_leaves_it_open(measured, entry):
    _, [change] = measured(*QUIET, *scaled(1.2), accepted=[entry])
    assert change.state == "open"


def test_a_worsening_whose_benchmark_got_a_new_version_is_past(tmp_path):
    hashes = repository(tmp_path / "code", 3 * N)
    results = tmp_path / "results"
    old = [*QUIET, *scaled(1.2), *[None] * N]
    store(results, hashes, old, metric="a.track_x", version="1")
    new = store(results, hashes, [*[None] * 2 * N, *scaled(3.0)], metric="a.track_x", version="2",
                environment="py3.12")  # fmt: skip
    [change] = collect(new, repository=tmp_path / "code")
    assert change.state == "past"


def test_an_error_that_was_nothing_before_has_no_finite_ratio(measured):
    _, [change] = measured(*[0.0] * 6, *[0.02] * 6, metric="fidelity.track_noise", unit="ratio")
    assert (change.before, change.after) == (0.0, pytest.approx(0.02))
    assert change.ratio == math.inf
    assert "from nothing" in change.sentence()


def test_rounding_of_float32_is_no_change_of_fidelity(measured):
    values = [0.0] * 6 + [3e-7] * 6
    assert measured(*values, metric="fidelity.track_noise", unit="ratio")[1] == []


def test_identities_stay_when_the_history_grows(tmp_path):
    hashes = repository(tmp_path / "code", 2 * N)
    results = tmp_path / "results"
    made = store(results, hashes, [*QUIET, *scaled(1.2)])
    [before] = collect(made, repository=tmp_path / "code")
    more = [commit(tmp_path / "code", f"more {day}", 2 * N + day) for day in range(N)]
    store(results, [*hashes, *more], [*[None] * 2 * N, *scaled(0.9)])
    identities = {each.identity for each in collect(Store(results), repository=tmp_path / "code")}
    assert before.identity in identities
    assert len(identities) == 2


def test_filters_take_what_matches_all_of_them(measured):
    _, found = measured(*QUIET, *scaled(1.2), *scaled(0.9))
    better, worse = found
    assert select(found, direction="worse") == [worse]
    assert select(found, state="fixed") == [worse]
    assert select(found, min_size=0.25) == [better]
    assert select(found, since=date(2026, 1, 20)) == [better]
    assert select(found, model="mobilenet_v2", machine="pixel6", metric=LATENCY) == found
    for other in ({"machine": "a"}, {"model": "mobilenet"}, {"variant": "a"}, {"metric": "a"}):
        assert select(found, **other) == []


def test_what_is_measured_today_is_matched_across_machines_whatever_was_measured_before(tmp_path):
    hashes = repository(tmp_path / "code", 3 * N)
    results, rest = tmp_path / "results", [None] * N
    for machine, today in (("host", [*QUIET, *scaled(1.2)]), ("phone", [*QUIET, *QUIET])):
        old, new = f"{machine}-torch2.11", f"{machine}-torch2.12"
        for metric in ("a.time_x", "b.time_x", "c.time_x", "d.time_x"):
            about = {"machine": machine, "metric": metric}
            store(results, hashes, [*QUIET, *rest, *rest], environment=old, **about)
            store(results, hashes, [*rest, *today], environment=new, **about)
    found = collect(Store(results), repository=tmp_path / "code")
    assert [(each.machine, each.cause) for each in found] == [("host", "machine")] * 4
