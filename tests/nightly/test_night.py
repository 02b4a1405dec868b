"""A night from beginning to end."""

import dataclasses

import pytest

from mobileopt.nightly.config import Phones
from nightly.laboratory import (
    EVERYWHERE,
    HOST,
    PHONES,
    RECIPES,
    Killed,
    Laboratory,
    blamed,
    git,
    mark_told,
)


@pytest.fixture
def lab(tmp_path):
    return Laboratory(tmp_path / "lab")


def test_one_slow_commit_in_ten_is_reported_and_nothing_else(lab):
    lab.slow(6)
    report = lab.night()
    assert blamed(report) == {("host", RECIPES[0], lab.commits[6])}
    assert (len(report.changes), report.undecided, report.exit_code) == (1, (), 1)
    assert lab.measured() == [("host", each) for each in reversed(lab.commits)]
    [change] = report.regressions
    assert change.ratio == pytest.approx(1.3)
    assert change.confidence > 0.9


@pytest.mark.parametrize("number", [1, 2, 8, 9])
def test_the_slow_commit_may_be_near_either_end(lab, number):
    lab.slow(number)
    assert blamed(lab.night()) == {("host", RECIPES[0], lab.commits[number])}


def test_host_and_phones_report_the_same_commit(tmp_path):
    lab = Laboratory(tmp_path / "lab", machines=EVERYWHERE)
    lab.slow(4, machines=EVERYWHERE)
    report = lab.night()
    assert blamed(report) == {(each.name, RECIPES[0], lab.commits[4]) for each in EVERYWHERE}
    compared = [job for job in lab.done if job.kind == "compare" and job.machine.is_phone]
    assert len(compared) == 2  # what the host has found is only made sure of


def test_ten_nights_over_unchanged_commits_report_nothing_and_measure_nothing_twice(tmp_path):
    lab = Laboratory(tmp_path / "lab", noise=0.03)
    for _ in range(10):
        report = lab.night()
        assert (report.changes, report.exit_code) == ((), 0)
    assert len(lab.measured()) == len(set(lab.measured())) == 10


def test_ten_nights_with_a_new_commit_each_report_nothing(tmp_path):
    lab = Laboratory(tmp_path / "lab", noise=0.03)
    for _ in range(10):
        assert lab.night().exit_code == 0
        lab.grow(1)


def test_a_second_slow_commit_of_another_night_is_found_beside_the_first(lab):
    lab.slow(8)
    lab.night()
    mark_told(lab)
    lab.grow(3)
    lab.slow(10)
    assert blamed(lab.night()) == {("host", RECIPES[0], lab.commits[10])}


@pytest.mark.parametrize("after", [0, 1, 9, 12, 13, 14, 15, 16, 17])
def test_a_night_killed_after_any_job_goes_on_without_doing_anything_twice(tmp_path, after):
    lab = Laboratory(tmp_path / "lab", machines=[HOST, PHONES[0]])
    lab.slow(3, machines=[HOST, PHONES[0]])

    def fault(job):
        if len(lab.done) == after:
            raise Killed
        return "", ""

    lab.fault = fault
    with pytest.raises(Killed):
        lab.night()
    lab.fault = lambda job: ("", "")
    report = lab.night()
    assert blamed(report) == {(each.name, RECIPES[0], lab.commits[3]) for each in (HOST, PHONES[0])}
    names = [job.id for job in lab.done]
    assert len(names) == len(set(names))
    assert {commit for name, commit in lab.measured() if name == "host"} == set(lab.commits)


def test_a_repository_that_cannot_be_fetched_is_measured_all_the_same(lab):
    config = lab.config()
    config = dataclasses.replace(
        config, repository=dataclasses.replace(config.repository, remote="origin")
    )
    report = lab.night(config)
    assert any("origin could not be fetched" in each for each in report.warnings)
    assert len(lab.measured()) == 10


def test_machines_that_the_configuration_turns_off_are_left_alone(tmp_path):
    lab = Laboratory(tmp_path / "lab", count=2, machines=EVERYWHERE)
    lab.gone = {"X9": "no worker of the cluster has it"}
    lab.night(dataclasses.replace(lab.config(), phones=Phones(enabled=False)))
    assert {name for name, _ in lab.measured()} == {"host"}


def test_whatever_publishing_meets_the_report_is_there(lab):
    def broken():
        raise ZeroDivisionError("oh")

    (lab.folder / "results").mkdir()
    report = lab.night(publish=broken)
    assert any("not published: ZeroDivisionError: oh" in each for each in report.warnings)


def test_a_commit_by_an_odd_name_is_a_commit(lab):
    git(lab.folder / "clone", "-c", "user.name=A\u2028B", "commit", "-q", "--allow-empty",
        "--author", "A\u2028B <a@b>", "-m", "Odd \u2028 subject")  # fmt: skip
    lab.commits.append(git(lab.folder / "clone", "rev-parse", "HEAD"))
    report = lab.night()
    assert report.tip == lab.commits[-1]
    assert report.subject.startswith("Odd")
