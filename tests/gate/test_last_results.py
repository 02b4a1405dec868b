from datetime import date

import pytest
from measured_repository import LATENCY, VARIANT, repository, store

from mobileopt.accepted import Accepted
from mobileopt.errors import InputError, StoreError, UnknownNameError
from mobileopt.gate import last_results
from mobileopt.store import Store

LEVEL = [0.1 * (1 + each / 1000) for each in (0, 3, -2, 1, -3, 2, -1, 0, 2, -2, 3, -1, 1, -3, 0)]
N = len(LEVEL)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    folder = tmp_path_factory.mktemp("code")
    return folder, repository(folder, 60)


@pytest.fixture
def judged(code, tmp_path):
    """Store the values given, one a commit, and judge the last."""
    folder, hashes = code

    def judged(values, accepted=(), machine=None, **options):
        made = store(tmp_path / "results", hashes[: len(values)], values, **options)
        return last_results.judge(made, folder, accepted=accepted, machine=machine)

    return judged


def only(result):
    [finding] = result.findings
    return finding


def test_a_last_result_far_above_its_level_is_worse_by_how_much(judged):
    result = judged([*LEVEL, 0.11])
    finding = only(result)
    assert (finding.outcome, result.exit_code) == ("worse", 1)
    assert finding.ratio == pytest.approx(1.1, abs=0.01)
    assert finding.low < finding.ratio < finding.high
    assert (finding.metric, finding.subject) == (LATENCY, VARIANT)


def test_a_last_result_at_its_level_is_ok(judged):
    assert judged([*LEVEL, 0.1004]).exit_code == 0


def test_a_change_point_a_few_results_ago_is_news(judged):
    result = judged([*LEVEL, *LEVEL, 0.12, 0.1201, 0.1199, 0.12])
    assert only(result).outcome == "worse"
    assert "change point" in only(result).reason


def test_an_old_change_point_is_not_news(judged):
    assert judged([*LEVEL, *(1.2 * value for value in LEVEL)]).exit_code == 0


def test_a_noisy_history_cannot_tell_and_says_how_noisy(judged):
    noisy = [0.1 * (1 + 0.15 * (-1) ** at * (1 + at % 3)) for at in range(20)]
    finding = only(judged([*noisy, 0.105]))
    assert finding.outcome == "unclear"
    assert "vary by" in finding.reason


def test_too_few_results_cannot_tell(judged):
    assert "2 results at this level, 8 are needed" in only(judged([0.1, 0.101, 0.1])).reason
    assert judged([0.1]).exit_code == 2


@pytest.mark.parametrize(("last", "outcome"), [(1000.0, "ok"), (999.0, "ok"), (1001.0, "worse")])
def test_what_never_varied_is_judged_exactly(judged, last, outcome):
    values = [1000.0] * 3 + [last]
    found = judged(values, metric="size.track_artifact", unit="bytes")
    assert only(found).outcome == outcome


def test_equal_results_before_are_needed_to_judge_exactly(judged):
    finding = only(judged([1000.0, 1000.0, 1001.0], metric="size.track_artifact", unit="bytes"))
    assert finding.outcome == "unclear"
    assert "8 are needed, or 3 equal ones" in finding.reason


def test_a_time_is_never_judged_exactly(judged):
    assert only(judged([0.1, 0.1001])).outcome == "unclear"
    assert only(judged([*[0.1] * 12, 0.1001])).outcome == "ok"


def test_an_error_that_was_nothing_is_shown_as_nothing(judged):
    found = only(judged([0.0, 0.0, 0.0, 0.02], metric="fidelity.track_noise", unit="ratio"))
    assert (found.outcome, found.base, found.head) == ("worse", 0.0, 0.02)


def test_an_accepted_worsening_passes(judged):
    entry = Accepted(LATENCY, "*", 1.2, "a larger head", date(2999, 1, 1), machine="pixel6")
    assert judged([*LEVEL, 0.11], accepted=[entry]).exit_code == 0


def of_commit(name):
    return Accepted(LATENCY, "*", 1.3, "a larger head", date(2999, 1, 1), commit=name[:8])


def test_a_worsening_accepted_of_the_commit_that_brought_it_passes_at_later_ones(judged, code):
    values = [*LEVEL, *LEVEL, 0.12, 0.1201, 0.1199]
    assert judged(values, accepted=[of_commit(code[1][2 * N])]).exit_code == 0
    assert judged(values, accepted=[of_commit(code[1][2 * N + 2])]).exit_code == 1


def test_a_worsening_may_be_that_of_a_commit_nobody_measured(judged, code):
    values = [*LEVEL, None, 0.11]
    assert judged(values, accepted=[of_commit(code[1][N])]).exit_code == 0
    assert judged(values, accepted=[of_commit(code[1][N - 1])]).exit_code == 1


def test_a_machine_that_moved_alone_and_as_a_whole_cannot_tell(code, tmp_path):
    folder, hashes = code
    for metric in ("a.time_x", "b.time_x", "c.time_x", "d.time_x"):
        for machine, factor in (("pixel6", 1.2), ("pixel8", 1.0)):
            values = [*LEVEL, *LEVEL, *(factor * each for each in LEVEL[:4])]
            made = store(
                tmp_path / "results", hashes[: len(values)], values, machine=machine, metric=metric
            )
    result = last_results.judge(made, folder, machine="pixel6")
    assert [each.outcome for each in result.findings] == ["unclear"] * 4
    assert "the machine changed" in result.findings[0].reason


def test_what_the_newest_commit_did_not_measure_is_named(judged, code, tmp_path):
    judged([*LEVEL, 0.1], metric="a.track_b")
    result = judged(LEVEL, metric="a.track_c")
    assert len(result.findings) == 1
    assert [name for name in result.skipped if "a.track_c" in name]


def test_it_says_that_it_is_weaker(judged):
    assert "weaker" in judged([*LEVEL, 0.1]).notes[0]


def test_a_machine_has_to_be_chosen_among_several(code, tmp_path):
    folder, hashes = code
    for machine in ("pixel6", "pixel8"):
        made = store(tmp_path / "results", hashes[:N], LEVEL, machine=machine)
    with pytest.raises(InputError, match="pixel6, pixel8"):
        last_results.judge(made, folder)
    assert "pixel8" in last_results.judge(made, folder, machine="pixel8").base


def test_an_unknown_machine_names_the_nearest(judged):
    with pytest.raises(UnknownNameError, match="did you mean 'pixel6'"):
        judged([*LEVEL, 0.1], machine="pixel7")


def test_a_store_without_results_is_one_sentence(tmp_path):
    (tmp_path / "results").mkdir()
    with pytest.raises(StoreError, match="no results"):
        last_results.judge(Store(tmp_path / "results"))
