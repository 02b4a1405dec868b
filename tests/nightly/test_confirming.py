"""Suspicions of a night, and what the sessions make of them."""

import dataclasses

import pytest

from mobileopt.nightly import judgement, night
from mobileopt.nightly.config import Confirm
from nightly.laboratory import (
    EVERYWHERE,
    HOST,
    PHONES,
    RECIPES,
    Laboratory,
    blamed,
    mark_told,
)


@pytest.fixture
def lab(tmp_path):
    return Laboratory(tmp_path / "lab")


def test_a_history_louder_than_its_session_is_explained_by_the_sessions_interval(lab):
    lab.slow(6)
    sure = lab.compare

    def unsure(job):
        found = sure(job)
        slower = found["ratio"] > 1
        return found | {"ratio": 1.2, "low": 1.1, "high": 1.4} if slower else found

    lab.compare = unsure
    report = lab.night()
    assert (len(report.changes), report.undecided, report.refuted) == (1, (), ())


def test_what_is_found_on_one_machine_is_looked_for_where_noise_hides_it(tmp_path):
    lab = Laboratory(tmp_path / "lab", machines=EVERYWHERE)
    lab.slow(5, machines=EVERYWHERE)
    lab.loud = {"host": 0.2}
    report = lab.night()
    assert blamed(report) == {(each.name, RECIPES[0], lab.commits[5]) for each in EVERYWHERE}


def test_a_machine_that_a_change_does_not_reach_is_asked_about_it_once(tmp_path):
    lab = Laboratory(tmp_path / "lab", machines=EVERYWHERE, noise=0.02)
    lab.slow(5, machines=[HOST], size=2.0)
    for _ in range(3):
        report = lab.night()
        assert {name for name, *_ in blamed(report)} <= {"host"}
    asked = [job for job in lab.done if job.kind == "compare" and job.machine != HOST]
    assert len(asked) == len({(job.machine, job.commit, job.good) for job in asked})


def test_a_suspicion_without_time_is_undecided_and_decided_the_next_night(lab):
    lab.slow(6)
    lab.fault = lambda job: ("time", "no time was left") if job.kind == "compare" else ("", "")
    report = lab.night()
    assert (report.exit_code, len(report.undecided)) == (2, 1)
    lab.fault = lambda job: ("", "")
    assert lab.night().exit_code == 1


def test_a_suspicion_on_a_phone_that_is_gone_stays_open(tmp_path):
    lab = Laboratory(tmp_path / "lab", machines=EVERYWHERE)
    lab.slow(6, machines=[PHONES[0]])
    lab.fault = lambda job: ("time", "no time") if job.kind == "compare" else ("", "")
    lab.night()
    lab.fault = lambda job: ("", "")
    lab.here = [HOST, PHONES[1]]
    report = lab.night()
    assert [reason for _, reason in report.undecided] == ["pixel-8-R58M is not here"]
    lab.here = EVERYWHERE
    assert blamed(lab.night()) == {("pixel-8-R58M", RECIPES[0], lab.commits[6])}


def test_what_moved_without_a_commit_is_measured_again_a_few_times_and_refuted(lab):
    true, count = lab.latency, iter(range(1000))

    # Newest first: the older half of the commits is measured after the machine slowed down.
    lab.latency = lambda *of: true(*of) * (0.8 if next(count) < 10 else 1.0)
    lab.compare = lambda job: judgement.IDENTICAL.as_dict()
    report = lab.night()
    assert (report.changes, report.exit_code) == ((), 0)
    assert len(report.refuted) == 2
    compared = len([job for job in lab.done if job.kind == "compare"])
    lab.night()
    assert len([job for job in lab.done if job.kind == "compare"]) == compared


def test_a_commit_that_slows_much_is_told_in_one_night_and_searched_for_once(tmp_path):
    lab = Laboratory(tmp_path / "lab", machines=EVERYWHERE)
    lab.slow(4, machines=EVERYWHERE, recipes=RECIPES)
    config = dataclasses.replace(lab.config(), confirm=Confirm(most=1))
    report = lab.night(config)
    assert blamed(report) == {(m.name, r, lab.commits[4]) for m in EVERYWHERE for r in RECIPES}
    assert report.undecided == ()
    sure = {}
    for job in lab.done:
        if job.kind == "compare":
            sure.setdefault((job.machine.name, job.variant), []).append(job.good)
    assert sorted(map(len, sure.values()))[:-1] == [1] * 5


def test_phones_that_work_side_by_side_do_not_all_search(tmp_path):
    lab = Laboratory(tmp_path / "lab", machines=PHONES)
    lab.slow(4, machines=PHONES)
    assert len(blamed(lab.night())) == 2
    counts = [
        sum(job.kind == "compare" and job.machine == phone for job in lab.done) for phone in PHONES
    ]
    assert sorted(counts)[0] == 1


def test_what_else_a_commit_did_is_no_new_alarm_once_it_was_told(tmp_path):
    lab = Laboratory(tmp_path / "lab", machines=EVERYWHERE[:2])
    lab.slow(6, machines=EVERYWHERE[:2])
    lab.fault = lambda job: ("time", "late") if job.machine.is_phone else ("", "")
    assert lab.night().exit_code == 1
    mark_told(lab)
    lab.fault = lambda job: ("", "")
    report = lab.night()
    assert (report.exit_code, report.regressions, len(report.known)) == (0, (), 2)


def test_two_suspicions_at_one_place_that_were_not_measured_are_not_called_refuted(
    lab, monkeypatch
):
    monkeypatch.setattr(night.confirming, "ENOUGH", 1)
    lab.slow(6, recipes=RECIPES)
    unchanged = lab.compare

    def same(job):
        return unchanged(job) | {"verdict": "same", "ratio": 1.0, "low": 0.99, "high": 1.01}

    lab.compare = same
    report = lab.night()
    assert (len(report.refuted), len(report.undecided), report.exit_code) == (1, 1, 2)
    lab.compare = unchanged
    assert [each.variant for each in lab.night().regressions] == [report.undecided[0][0].variant]


def test_a_suspicion_that_is_never_decided_is_given_up_aloud(lab):
    lab.slow(6)
    sure = lab.compare
    lab.compare = lambda job: sure(job) | {"verdict": "unclear", "low": 0.9, "high": 1.5}
    config = dataclasses.replace(lab.config(), confirm=Confirm(retries=1))
    assert [lab.night(config).exit_code for _ in range(2)] == [2, 2]
    report = lab.night(config)
    assert (report.exit_code, len(report.given_up)) == (0, 1)
    assert report.headline == "nothing is known to be slower; 1 suspicion given up"


def test_a_comparison_that_failed_by_chance_is_made_again(lab):
    lab.slow(6)
    lab.fault = lambda job: ("commit", "killed") if job.kind == "compare" else ("", "")
    assert lab.night().exit_code == 2
    lab.fault = lambda job: ("", "")
    assert lab.night().exit_code == 1


# --- nothing that goes wrong at the end swallows what was found
