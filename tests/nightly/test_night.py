import dataclasses
from concurrent.futures import Future
from datetime import datetime

import pytest

from mobileopt.errors import StoreError
from mobileopt.nightly import judgement, night
from mobileopt.nightly.config import Phones
from mobileopt.nightly.jobs import Machine, Outcome
from mobileopt.store import Store
from nightly.laboratory import HOST, RECIPES, Killed, Laboratory

PHONES = [Machine("pixel-8-R58M", "R58M"), Machine("pixel-6-X1", "X1")]
EVERYWHERE = [HOST, *PHONES]


def mark_told(lab):
    ledger = night.Ledger(lab.folder / "clone" / night.STATE / "ledger.jsonl")
    for each in ledger.of("change"):
        ledger.add("told", change=each["id"])


def blamed(report):
    return {
        (each.machine, each.variant.partition("/")[2], each.candidates[0].hash)
        for each in report.regressions
        if len(each.candidates) == 1
    }


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


def test_a_change_that_was_told_is_not_new_again(lab):
    lab.slow(6)
    assert lab.night().exit_code == 1
    assert lab.night().exit_code == 1  # nobody was told yet
    mark_told(lab)
    again = lab.night()
    assert again.exit_code == 0
    assert [each.candidates[0].hash for each in again.known] == [lab.commits[6]]


def test_a_second_slow_commit_of_another_night_is_found_beside_the_first(lab):
    lab.slow(8)
    lab.night()
    mark_told(lab)
    lab.grow(3)
    lab.slow(10)
    assert blamed(lab.night()) == {("host", RECIPES[0], lab.commits[10])}


def test_a_slowdown_that_somebody_accepted_is_no_alarm(lab):
    lab.slow(6)
    (lab.folder / "clone" / "mobileopt-accepted.toml").write_text(
        f"""
        [[accepted]]
        metric = "latency.time_forward"
        variant = "mlp/*"
        up_to = 1.35
        reason = "it answers better now"
        expires = 2999-01-01
        commit = "{lab.commits[6][:8]}"
        """
    )
    report = lab.night()
    assert (report.exit_code, report.regressions) == (0, ())
    assert [each.accepted for each in report.accepted] == ["it answers better now"]


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


def test_an_improvement_is_told_and_is_no_alarm(lab):
    lab.slow(5, size=0.7)
    report = lab.night()
    assert report.exit_code == 0
    assert [each.candidates[0].hash for each in report.improvements] == [lab.commits[5]]


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


def test_when_the_time_is_up_the_night_ends_and_says_what_was_left(lab):
    lab.slow(6)
    lab.seconds = 600.0
    report = lab.night(lab.config(until=next_hour(lab), reserve=0.4))
    assert 0 < len(lab.measured()) < 10
    assert len(report.left) == 10 - len(lab.measured())
    assert all("no time was left" in each for each in report.left)
    assert lab.time <= report.started.timestamp() + 3600


def next_hour(lab):
    return f"{datetime.fromtimestamp(lab.time + 3600).astimezone():%H:%M}"


def test_a_suspicion_without_time_is_undecided_and_decided_the_next_night(lab):
    lab.slow(6)
    lab.fault = lambda job: ("time", "no time was left") if job.kind == "compare" else ("", "")
    report = lab.night()
    assert (report.exit_code, len(report.undecided)) == (2, 1)
    lab.fault = lambda job: ("", "")
    assert lab.night().exit_code == 1


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


def test_a_newest_commit_without_results_is_not_called_good(lab):
    lab.fault = lambda job: ("commit", "no") if job.commit == lab.commits[-1] else ("", "")
    report = lab.night()
    assert report.exit_code == 2
    assert "could not tell" in report.headline


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


def test_a_phone_that_is_not_there_is_told_until_it_is_in_quarantine(tmp_path):
    lab = Laboratory(tmp_path / "lab")
    lab.gone = {"R58M": "it is offline; unplug it and plug it in again"}
    for _ in range(3):
        report = lab.night()
        assert report.exit_code == 2
        assert any("R58M cannot be used: it is offline" in each for each in report.warnings)
    report = lab.night()
    assert report.exit_code == 0
    assert any("R58M is in quarantine: it is offline" in each for each in report.warnings)


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


def test_a_repository_that_cannot_be_fetched_is_measured_all_the_same(lab):
    config = lab.config()
    config = dataclasses.replace(
        config, repository=dataclasses.replace(config.repository, remote="origin")
    )
    report = lab.night(config)
    assert any("origin could not be fetched" in each for each in report.warnings)
    assert len(lab.measured()) == 10


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


def test_a_file_that_would_leave_the_store_is_refused(lab):
    def submit(job):
        done = Future()
        done.set_result(Outcome(job, files={"../evil.json": "{}"}))
        return done

    lab.submit = submit
    with pytest.raises(StoreError):
        lab.night()


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
