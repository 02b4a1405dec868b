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
def test_the_benchmarks_of_the_configuration_reach_asv(monkeypatch, tmp_path, given, taken):
    asked = {}
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
