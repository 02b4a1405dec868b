import dataclasses

import pytest

from mobileopt.nightly.budget import Budget
from mobileopt.nightly.config import Config
from mobileopt.nightly.jobs import Job, Machine, Outcome
from mobileopt.nightly.ledger import Ledger
from mobileopt.nightly.quarantine import Quarantine
from mobileopt.nightly.shift import PATIENCE, Shift
from mobileopt.store import Store

HOST, PHONE = Machine("host"), Machine("pixel-8-R58M", "R58M")
JOB = Job("measure", PHONE, "c" * 40)


@pytest.fixture
def said():
    return []


@pytest.fixture
def shift(tmp_path, said):
    """A night of 100 seconds, 40 of which are kept for making sure; it is second 10."""
    quarantine = Quarantine(tmp_path / "quarantine.json", strikes=2, hours=1)
    return Shift(
        Config(), (), Store(tmp_path / "results"), lab=None, ledger=Ledger(tmp_path / "ledger"),
        quarantine=quarantine, budget=Budget(0.0, 100.0, 0.4), now=lambda: 10.0, say=said.append,
    )  # fmt: skip


def on(job, machine):
    return dataclasses.replace(job, machine=machine)


def test_a_job_that_took_too_long_the_last_time_is_refused_and_a_failure_does_not_count(shift):
    shift.keep(Outcome(JOB, seconds=60.0))
    shift.keep(Outcome(JOB, "commit", "it does not import", seconds=1.0))
    assert shift.refusal(JOB, measuring=True) == "no time was left"
    assert shift.refusal(JOB) == ""
    assert shift.refusal(on(JOB, HOST), measuring=True) == ""
    assert shift.refusal(dataclasses.replace(JOB, kind="compare"), measuring=True) == ""


def test_a_phone_is_refused_once_it_is_in_quarantine_and_a_host_never_is(shift, said):
    for machine in (PHONE, HOST):
        for _ in range(2):
            shift.keep(Outcome(on(JOB, machine), "machine", "too hot"))
    assert shift.refusal(JOB) == "pixel-8-R58M is in quarantine"
    assert shift.refusal(on(JOB, HOST)) == ""
    assert [shift.in_quarantine(each) for each in (PHONE, HOST)] == [True, False]
    assert shift.absent == {PHONE: "in quarantine: too hot"}
    assert "pixel-8-R58M is in quarantine: too hot" in said


def test_a_machine_that_is_busy_too_often_is_refused_and_keeps_its_standing(shift):
    for _ in range(PATIENCE):
        assert shift.refusal(JOB) == ""
        shift.keep(Outcome(JOB, "busy", "it is in use"))
    assert shift.refusal(JOB) == f"pixel-8-R58M was not ready {PATIENCE} times"
    assert shift.quarantine.standings() == {}


def test_a_success_of_a_phone_clears_its_failures(shift):
    shift.keep(Outcome(JOB, "machine", "too hot"))
    shift.keep(Outcome(JOB))
    assert shift.quarantine.standings() == {}


@pytest.mark.parametrize(
    "name",
    ["/proc/none/x.json", "host/../x.json", "..", "host/", "a/b/c.json", "host\\x.json", "x\0"],
)
def test_a_result_file_by_a_hostile_name_is_refused_as_the_machines_failure(shift, tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    outcome = shift.keep(Outcome(JOB, files={"benchmarks.json": "{}", name: "{}"}, seconds=3.0))
    assert (outcome.fault, outcome.seconds) == ("machine", 3.0)
    assert outcome.reason.startswith("its results were refused: StoreError: machine ")
    assert shift.quarantine.standings()["R58M"].strikes == 1
    made = set(tmp_path.rglob("*")) - set(before)
    assert {each.name for each in made} == {"ledger", "quarantine.json"}


def test_a_measurement_that_was_left_and_then_done_is_left_no_more(shift):
    shift.leave(JOB, "no time was left")
    shift.leave(on(JOB, HOST), "no time was left")
    shift.finish(JOB)
    assert shift.left == {"cccccccc on host": "no time was left"}
    assert shift.measured == [("pixel-8-R58M", "c" * 40)]


def test_a_warning_is_said_once(shift, said):
    shift.warn("the disk is full")
    shift.warn("the disk is full")
    assert said == shift.warnings == ["the disk is full"]


def test_making_sure_has_the_time_that_measuring_has_not(shift):
    assert shift.seconds_left() == 90.0
    assert shift.seconds_left(measuring=True) == 50.0
