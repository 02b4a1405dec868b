import dataclasses
import warnings
from concurrent.futures import Future
from datetime import datetime

import pytest

from mobileopt.errors import InputError
from mobileopt.nightly import judgement, night, reporting
from mobileopt.nightly.config import Confirm, Phones, Schedule
from mobileopt.nightly.jobs import Machine, Outcome
from mobileopt.store import Store
from mobileopt.store.files import StoreWarning
from nightly.laboratory import HOST, RECIPES, Killed, Laboratory, git

PHONES = [Machine("pixel-8-R58M", "R58M"), Machine("pixel-6-X1", "X1")]
EVERYWHERE = [HOST, *PHONES]


ACCEPTED = """
[[accepted]]
metric = "latency.time_forward"
variant = "mlp/*"
up_to = 1.35
reason = "it answers better now"
expires = 2999-01-01
"""


def mark_told(lab):
    ledger = night.Ledger(lab.folder / "clone" / night.STATE / "ledger.jsonl")
    for each in ledger.of("change"):
        ledger.add("told", change=each["id"])


def accept(lab, text):
    folder = lab.folder / "clone"
    (folder / "mobileopt-accepted.toml").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Accept")
    lab.commits.append(git(folder, "rev-parse", "HEAD"))


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
    accept(lab, ACCEPTED)
    report = lab.night()
    assert (report.exit_code, report.regressions) == (0, ())
    assert [each.accepted for each in report.accepted] == ["it answers better now"]


def test_what_is_accepted_is_what_the_branch_says_and_not_what_is_checked_out(lab):
    lab.slow(6)
    accept(lab, ACCEPTED)
    git(lab.folder / "clone", "checkout", "-q", "--detach", lab.commits[0])
    config = lab.config()
    followed = dataclasses.replace(config.repository, branch="main")
    assert lab.night(dataclasses.replace(config, repository=followed)).accepted


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
    assert report.exit_code == 2
    assert report.headline.endswith("the newest commit, R58M in quarantine")
    assert [row.note for row in report.machines][1].startswith("in quarantine: it is offline")
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


def test_machines_that_the_configuration_turns_off_are_left_alone(tmp_path):
    lab = Laboratory(tmp_path / "lab", count=2, machines=EVERYWHERE)
    lab.gone = {"X9": "no worker of the cluster has it"}
    lab.night(dataclasses.replace(lab.config(), phones=Phones(enabled=False)))
    assert {name for name, _ in lab.measured()} == {"host"}


def test_measuring_a_commit_may_not_use_the_time_for_making_sure(lab):
    asked, submit = [], lab.submit
    lab.submit = lambda job: asked.append((job, lab.time)) or submit(job)
    start = lab.time
    lab.night(lab.config(until=next_hour(lab), reserve=0.4))
    limit = start + 0.6 * 3600 + 60  # what is named is a whole minute
    assert all(at + job.seconds <= limit for job, at in asked if job.kind == "measure")


# --- one commit, many series


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


def test_whatever_publishing_meets_the_report_is_there(lab):
    def broken():
        raise ZeroDivisionError("oh")

    (lab.folder / "results").mkdir()
    report = lab.night(publish=broken)
    assert any("not published: ZeroDivisionError: oh" in each for each in report.warnings)


def test_a_broken_accepted_file_is_told_before_anything_is_measured(lab):
    accept(lab, "[[accepted]]\n")
    with pytest.raises(InputError):
        lab.night()
    assert lab.measured() == []


def test_a_commit_by_an_odd_name_is_a_commit(lab):
    git(lab.folder / "clone", "-c", "user.name=A\u2028B", "commit", "-q", "--allow-empty",
        "--author", "A\u2028B <a@b>", "-m", "Odd \u2028 subject")  # fmt: skip
    lab.commits.append(git(lab.folder / "clone", "rev-parse", "HEAD"))
    report = lab.night()
    assert report.tip == lab.commits[-1]
    assert report.subject.startswith("Odd")


def test_whatever_is_wrong_with_the_histories_what_was_confirmed_is_told(lab, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(reporting.history, "collect", broken)
    lab.slow(6)
    report = lab.night()
    assert report.exit_code == 1
    assert "the histories were not analysed: ZeroDivisionError: oh" in report.warnings
