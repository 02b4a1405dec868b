import os
from dataclasses import replace

import pytest

from mobileopt.errors import MeasurementError
from mobileopt.nightly.config import Config, Host, Phones, Repository
from mobileopt.nightly.jobs import Job, Machine
from tools import _night_jobs as jobs
from tools import bench

pytest_plugins = ["tests.loopback.fixtures"]

CONFIG = Config(repository=Repository(path="."))


@pytest.fixture(autouse=True)
def host(monkeypatch):
    monkeypatch.setattr(bench, "register_machine", lambda: "this-host")


@pytest.fixture
def stored(monkeypatch, tmp_path):
    """The commits with a value in the store, by machine."""
    found = {}
    monkeypatch.setattr(jobs, "results_folder", lambda config: tmp_path / "results")
    monkeypatch.setattr(jobs, "measured", lambda store: found)
    return found


def test_a_host_is_measured_alone_and_its_phones_side_by_side():
    host, phones = Machine("host"), [Machine("a", "A"), Machine("b", "B")]
    lab = jobs.LocalLab(CONFIG)
    assert lab.together([host, *phones]) == [[host], phones]
    assert lab.together([host]) == [[host]]
    assert lab.together(phones) == [phones]


def test_the_machines_are_this_host_and_the_phones_that_are_connected(server, plug):
    plug("ONE")
    phones = Phones(True, ("ONE", "GONE"), "127.0.0.1", server.port)
    lab = jobs.LocalLab(replace(CONFIG, phones=phones))
    host, phone = lab.machines()
    assert (host, phone.serial) == (Machine("this-host"), "ONE")
    assert lab.absent() == {"GONE": "it is not connected"}


def test_without_an_adb_server_the_phones_that_are_asked_for_are_absent(monkeypatch):
    from mobileopt.errors import ServerError
    from mobileopt.nightly import phones

    def none(*_):
        raise ServerError("no adb server answers")

    monkeypatch.setattr(phones, "server", none)
    lab = jobs.LocalLab(replace(CONFIG, host=Host(enabled=False), phones=Phones(True, ("ONE",))))
    assert lab.machines() == []
    assert lab.absent() == {"ONE": "no adb server answers"}


@pytest.mark.parametrize(
    ("given", "taken"), [("quick", bench.quick_pattern()), ("all", None), ("^latency", "^latency")]
)
def test_the_benchmarks_of_the_configuration_reach_asv(monkeypatch, stored, tmp_path, given, taken):
    asked = {}
    stored["h"] = {"c" * 40}
    monkeypatch.setattr(bench, "run", lambda commits, machine, **more: asked.update(more))
    config = replace(CONFIG, host=Host(benchmarks=given), root=tmp_path)
    assert jobs.perform(config, Job("measure", Machine("h"), "c" * 40, seconds=9.0)).ok
    assert (asked["pattern"], asked["seconds"]) == (taken, 9.0)
    assert list((tmp_path / ".nightly" / "logs").iterdir())


def test_an_asv_that_ran_out_of_the_nights_time_is_nobodys_fault(monkeypatch, tmp_path):
    def late(*_, **__):
        raise MeasurementError("asv was not done")

    monkeypatch.setattr(bench, "run", late)
    config = replace(CONFIG, root=tmp_path)
    job = Job("measure", Machine("h"), "c" * 40, seconds=0.0)
    assert jobs.perform(config, job).fault == "time"
    assert jobs.perform(config, replace(job, seconds=99.0)).fault == "commit"


def test_an_asv_that_ends_without_a_value_is_told_with_what_it_said(monkeypatch, stored, tmp_path):
    def nothing(*_, console, **__):
        console.print("latency.time_forward failed")
        console.print("done")

    monkeypatch.setattr(bench, "run", nothing)
    outcome = jobs.perform(replace(CONFIG, root=tmp_path), Job("measure", Machine("h"), "c" * 40))
    assert outcome.fault == "commit"
    assert outcome.reason == "asv ended without any value: latency.time_forward failed"


def test_what_was_kept_of_jobs_of_long_ago_is_removed(monkeypatch, stored, tmp_path):
    stored["h"] = {"c" * 40}
    monkeypatch.setattr(bench, "run", lambda *_, **__: None)
    old, new = (tmp_path / ".nightly" / "sessions" / name for name in ("old", "new"))
    old.parent.mkdir(parents=True)
    old.touch(), new.touch()
    os.utime(old, (0, 0))
    jobs.perform(replace(CONFIG, root=tmp_path), Job("measure", Machine("h"), "c" * 40))
    assert (old.exists(), new.exists()) == (False, True)
