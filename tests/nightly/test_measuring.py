"""What a night measures, on which machine, and what it leaves for another."""

import warnings
from concurrent.futures import Future

import pytest

from mobileopt.nightly.config import Phones, Schedule
from mobileopt.nightly.jobs import Outcome
from mobileopt.store import Store
from mobileopt.store.files import StoreWarning
from nightly.laboratory import EVERYWHERE, PHONES, RECIPES, Laboratory, blamed, next_hour


@pytest.fixture
def lab(tmp_path):
    return Laboratory(tmp_path / "lab")


def test_commits_outside_of_the_newest_are_measured_only_where_something_changed(tmp_path):
    lab = Laboratory(tmp_path / "lab", count=10)
    lab.night()
    lab.grow(20)
    lab.slow(14)
    report = lab.night(lab.config(newest=4, backfill=3))
    assert blamed(report) == {("host", RECIPES[0], lab.commits[14])}
    tonight = [commit for _, commit in lab.measured()[10:]]
    assert tonight[:4] == lab.commits[-1:-5:-1]
    assert set(tonight[4:]) <= set(lab.commits[10:26])
    assert len(tonight) == 7


def test_when_the_time_is_up_the_night_ends_and_says_what_was_left(lab):
    lab.slow(6)
    lab.seconds = 600.0
    report = lab.night(lab.config(until=next_hour(lab), reserve=0.4))
    assert 0 < len(lab.measured()) < 10
    assert len(report.left) == 10 - len(lab.measured())
    assert all("no time was left" in each for each in report.left)
    assert lab.time <= report.started.timestamp() + 3600


def test_a_commit_that_gives_nothing_is_tried_twice_and_then_left(lab):
    broken = lab.commits[4]
    tries = []

    def fault(job):
        if job.commit != broken:
            return "", ""
        tries.append(job)
        return "commit", "it does not import"

    lab.fault = fault
    for _ in range(3):
        report = lab.night()
    assert len(tries) == 2
    assert report.exit_code == 0


def test_a_phone_that_fails_three_times_is_left_alone_until_it_is_released(tmp_path):
    lab = Laboratory(tmp_path / "lab", machines=EVERYWHERE)
    tries = []

    def fault(job):
        if job.machine != PHONES[0]:
            return "", ""
        tries.append(job)
        return "machine", "the phone went away"

    lab.fault = fault
    report = lab.night()
    assert len(tries) == 3
    assert any("in quarantine now: the phone went away" in each for each in report.warnings)
    assert {name for name, _ in lab.measured()} == {"host", "pixel-6-X1"}
    lab.night()
    assert len(tries) == 3
    lab.time += Phones().release_after_hours * 3600
    lab.fault = lambda job: ("", "")
    lab.night()
    assert {name for name, _ in lab.measured()} == {each.name for each in EVERYWHERE}


def test_results_that_come_as_files_are_merged_into_the_store(lab):
    other = Laboratory(lab.folder.parent / "other", count=1)
    other.commits = lab.commits

    def submit(job):
        other.measure(job)
        results = other.folder / "results"
        names = ("benchmarks.json", "host/machine.json", f"host/{job.commit[:8]}-py3.11.json")
        done = Future()
        done.set_result(Outcome(job, files={each: (results / each).read_text() for each in names}))
        return done

    lab.submit = submit
    assert lab.night().exit_code == 0
    assert len(Store(lab.folder / "results").series(lab.commits)[0]) == 10


@pytest.mark.parametrize(
    ("name", "text"),
    [("../evil.json", "{}"), ("host/machine.json", "[1"), ("benchmarks.json", "3")],
)
def test_files_that_cannot_be_merged_are_refused_and_the_night_goes_on(lab, name, text):
    def submit(job):
        done = Future()
        done.set_result(Outcome(job, files={name: text}))
        return done

    lab.submit = submit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        report = lab.night()
    assert report.exit_code == 2
    assert not (lab.folder.parent / "evil.json").exists()


def test_a_phone_that_dies_in_the_middle_of_a_commit_goes_on_with_it_the_next_night(tmp_path):
    lab = Laboratory(tmp_path / "lab", count=2, machines=[PHONES[0]])
    whole = lab.submit

    def dies(job):
        lab.measure(job)  # what it has measured is stored
        lab.fault = lambda _: ("machine", "the cable came off")
        return whole(job)

    lab.submit = dies
    assert lab.night().exit_code == 2
    lab.submit, lab.fault = whole, lambda job: ("", "")
    report = lab.night()
    assert {commit for _, commit in lab.measured()} == set(lab.commits)
    assert report.exit_code == 0
    lab.night()
    assert len(lab.measured()) == 2


# --- whose failure it is


def every_commit_fails(job):
    return "commit", "no space left on device"


def test_what_fails_with_every_commit_is_held_against_none(lab):
    lab.fault = every_commit_fails
    for _ in range(3):
        report = lab.night()
    assert report.exit_code == 2
    assert any("measured none of 10 commits" in each for each in report.warnings)
    lab.fault = lambda job: ("", "")
    assert lab.night().exit_code == 0
    assert len(lab.measured()) == 10


def test_a_commit_that_gave_nothing_is_tried_again_when_that_is_long_ago(lab):
    broken = lab.commits[4]
    lab.fault = lambda job: ("commit", "no") if job.commit == broken else ("", "")
    lab.night(), lab.night()
    lab.fault = lambda job: ("", "")
    lab.night()
    assert ("host", broken) not in lab.measured()
    lab.time += Schedule().forget_after_days * 86400
    lab.night()
    assert ("host", broken) in lab.measured()


def in_use(job):
    return ("busy", "it is being measured by process 7") if job.machine.is_phone else ("", "")


def test_a_phone_in_use_is_asked_again_later_in_the_night(tmp_path):
    lab = Laboratory(tmp_path / "lab", count=3, machines=EVERYWHERE[:2])
    busy = iter([in_use] * 3)
    lab.fault = lambda job: (
        next(busy, lambda _: ("", ""))(job) if job.machine.is_phone else ("", "")
    )
    report = lab.night()
    assert (report.exit_code, report.left) == (0, ())
    assert len(lab.measured()) == 6


def test_a_phone_that_stays_in_use_is_left_for_another_night_and_keeps_its_standing(tmp_path):
    lab = Laboratory(tmp_path / "lab", count=4, machines=EVERYWHERE[:2])
    lab.fault = in_use
    for _ in range(2):
        report = lab.night()
    assert report.exit_code == 2
    assert len(report.left) == 4
    assert not any("quarantine" in each for each in report.warnings)
    lab.fault = lambda job: ("", "")
    assert lab.night().exit_code == 0


def test_a_suspicion_on_a_phone_in_use_is_asked_again_later_in_the_night(tmp_path):
    lab = Laboratory(tmp_path / "lab", machines=[PHONES[0]])
    lab.slow(6, machines=[PHONES[0]])
    busy = iter(["busy"])
    lab.fault = lambda job: (next(busy, ""), "in use") if job.kind == "compare" else ("", "")
    report = lab.night()
    assert blamed(report) == {("pixel-8-R58M", RECIPES[0], lab.commits[6])}
    assert report.undecided == ()


def test_measuring_a_commit_may_not_use_the_time_for_making_sure(lab):
    asked, submit = [], lab.submit
    lab.submit = lambda job: asked.append((job, lab.time)) or submit(job)
    start = lab.time
    lab.night(lab.config(until=next_hour(lab), reserve=0.4))
    limit = start + 0.6 * 3600 + 60  # what is named is a whole minute
    assert all(at + job.seconds <= limit for job, at in asked if job.kind == "measure")


# --- one commit, many series
