import contextlib
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mobileopt.errors import CapabilityError, ConfigurationError, InputError
from mobileopt.nightly import fleet
from mobileopt.nightly.config import Fleet
from mobileopt.nightly.fleet import FleetLab
from mobileopt.nightly.jobs import Job, Machine
from nightly import fleet_host
from tests.loopback.server import free_port, listens

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.slow,
    # distributed's own sockets and loops, closed a moment after the test
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
ROOT = Path(__file__).parents[2]
PHONES = [fleet_host.machine(f"device:P{number}") for number in range(1, 5)]


class Cluster:
    """A scheduler and hosts, processes of their own that can be killed and started again."""

    def __init__(self, folder, *, tls=False):
        self.folder, self.port, self.tls = folder, free_port(), tls
        self.processes = []
        self.url = f"{'tls' if tls else 'tcp'}://127.0.0.1:{self.port}"
        self.settings = fleet_host.settings(self.url, folder)
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
            "DASK_DISTRIBUTED__WORKER__DAEMON": "false",
        }

    def scheduler(self):
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        if self.tls:
            tls = self.folder / "tls"
            options += ["--protocol", "tls", "--tls-ca-file", str(tls / "ca.pem")]
            options += ["--tls-cert", str(tls / "cert.pem"), "--tls-key", str(tls / "key.pem")]
        process = self._start(["-m", "distributed.cli.dask_scheduler", *options], "scheduler")
        wait_until(lambda: listens(self.port))
        return process

    def host(self, *resources):
        script = Path(fleet_host.__file__)
        return self._start([str(script), self.url, str(self.folder), *resources], resources[0])

    def lab(self, **options):
        return FleetLab(self.settings, fleet_host.perform, fleet_host.machines, **options)

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            return [line.split() for line in (self.folder / "log").read_text().splitlines()]
        return []

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def _start(self, arguments, name):
        with (self.folder / f"{name}.log".replace(":", "-")).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=self.environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def lab(cluster):
    made = cluster.lab(patience=30)
    yield made
    made.close()


def ready(lab, count):
    wait_until(lambda: len(lab.declared()) == count)
    return {each.resource: each for each in lab.machines()}


def job(machine, commit="c1", tenths=0):
    return Job("measure", machine, commit, attempt=tenths)


def test_every_job_runs_on_the_host_that_has_its_machine_and_no_phone_has_two(cluster, lab):
    cluster.scheduler()
    (
        cluster.host("device:P1", "device:P2", "host:a"),
        cluster.host("device:P3"),
        cluster.host("device:P4"),
    )
    there = ready(lab, 5)
    assert there["host:a"] == Machine("a")
    futures = [
        lab.submit(job(phone, f"c{number}", tenths=2)) for number in range(3) for phone in PHONES
    ]
    outcomes = [future.result(60) for future in futures]
    assert all(each.ok for each in outcomes)
    of_phone = {}
    for each in outcomes:
        of_phone.setdefault(each.job.machine.serial, set()).add(each.found["pid"])
    assert all(len(pids) == 1 for pids in of_phone.values())
    assert of_phone["P1"] == of_phone["P2"] != of_phone["P3"]
    spans = {}
    for word, _, resource, _ in cluster.log():
        spans[resource] = spans.get(resource, 0) + (1 if word == "begin" else -1)
        assert spans[resource] in (0, 1)


def test_an_unknown_phone_is_refused_at_submission(cluster, lab):
    cluster.scheduler()
    cluster.host("device:P1")
    ready(lab, 1)
    with pytest.raises(InputError, match=r"no worker of the cluster has device:P9; they have"):
        lab.submit(job(fleet_host.machine("device:P9")))


def test_phones_that_are_asked_for_and_that_no_worker_has_are_told(cluster):
    cluster.scheduler()
    cluster.host("device:P1", "device:P2")
    lab = cluster.lab(wanted=("P1", "P9"))
    wait_until(lambda: len(lab.declared()) == 2)
    assert [each.serial for each in lab.machines()] == ["P1"]
    assert lab.absent() == {"P9": "no worker of the cluster has it"}
    lab.close()


def test_phones_come_and_go_while_a_worker_works(cluster, lab):
    cluster.scheduler()
    cluster.host("device:P1", "device:P2")
    there = ready(lab, 2)
    running = lab.submit(job(there["device:P1"], tenths=20))
    wait_until(lambda: len(cluster.log()) == 1)
    (cluster.folder / "offered").write_text("device:P1 device:P3")
    wait_until(lambda: lab.declared() == {"device:P1", "device:P3"})
    assert {each.serial for each in lab.machines()} == {"P1", "P3"}
    assert lab.submit(job(PHONES[2])).result(60).ok
    # The phone that is in use gets no second job, though the scheduler was told of it again.
    following = lab.submit(job(there["device:P1"], "c2"))
    assert running.result(60).ok
    assert following.result(60).ok
    words = [word for word, _, resource, _ in cluster.log() if resource == "device:P1"]
    # On a busy computer a job may be submitted again: it is the order that tells.
    assert words == ["begin", "end"] * (len(words) // 2)
    assert len(words) >= 4
    with pytest.raises(InputError, match="no worker of the cluster has device:P2"):
        lab.submit(job(PHONES[1]))


def test_a_phone_that_two_workers_have_is_left_out_and_two_hosts_of_a_name_are_refused(cluster):
    cluster.scheduler()
    cluster.host("device:P1", "device:P2"), cluster.host("device:P2")
    lab = cluster.lab()
    wait_until(lambda: len(lab.client().scheduler_info()["workers"]) == 2)
    assert [each.serial for each in lab.machines()] == ["P1"]
    assert "both have it" in lab.absent()["P2"]
    cluster.host("host:a"), cluster.host("host:a")
    wait_until(lambda: len(lab.client().scheduler_info()["workers"]) == 4)
    with pytest.raises(InputError, match=r"share the history a; set host\.enabled = false"):
        lab.machines()
    lab.close()


def test_a_job_whose_worker_is_killed_is_done_when_the_worker_is_back(cluster, lab):
    cluster.scheduler()
    worker = cluster.host("device:P1")
    ready(lab, 1)
    future = lab.submit(job(PHONES[0], tenths=30))
    wait_until(lambda: len(cluster.log()) == 1)
    worker.kill()
    cluster.host("device:P1")
    assert future.result(90).ok
    assert [word for word, *_ in cluster.log()].count("end") == 1


def test_a_job_is_given_up_when_nobody_has_its_machine_any_more(cluster):
    lab = cluster.lab(patience=3)
    cluster.scheduler()
    worker = cluster.host("device:P1")
    ready(lab, 1)
    future = lab.submit(job(PHONES[0], tenths=600))
    wait_until(lambda: len(cluster.log()) == 1)
    worker.kill()
    outcome = future.result(60)
    assert (outcome.fault, outcome.reason) == ("machine", "the worker with device:P1 is gone")
    lab.close()


def test_jobs_outlive_the_scheduler(cluster, lab):
    scheduler = cluster.scheduler()
    cluster.host("device:P1"), cluster.host("device:P2")
    ready(lab, 2)
    futures = [lab.submit(job(phone, tenths=20)) for phone in PHONES[:2]]
    wait_until(lambda: len(cluster.log()) == 2)
    scheduler.kill()
    scheduler.wait()
    cluster.scheduler()
    assert all(future.result(90).ok for future in futures)


def certificates(folder):
    """What docs/lab.md says to do, with keys that are made faster."""
    text = (ROOT / "docs" / "lab.md").read_text()
    script = re.search(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[1]
    (folder / "tls").mkdir()
    subprocess.run(
        ["sh", "-e", "-c", script.replace("rsa:4096", "rsa:2048")],
        cwd=folder / "tls", check=True, capture_output=True,
    )  # fmt: skip


def test_with_tls_jobs_run_and_nobody_joins_without_a_certificate(tmp_path):
    certificates(tmp_path)
    cluster = Cluster(tmp_path, tls=True)
    lab = cluster.lab()
    try:
        cluster.scheduler()
        cluster.host("device:P1")
        ready(lab, 1)
        assert lab.submit(job(PHONES[0])).result(60).ok
        stranger = Fleet(f"tcp://127.0.0.1:{cluster.port}")
        with pytest.raises(InputError, match="no scheduler answers"):
            fleet.connect(stranger)
    finally:
        lab.close()
        cluster.kill()


@pytest.mark.parametrize("name", ["ca", "certificate", "private_key"])
def test_certificates_that_do_not_fit_are_a_broken_configuration(tmp_path, name):
    certificates(tmp_path)
    good = fleet_host.settings("tls://lab:8786", tmp_path)
    fleet.check_certificates(good)
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ConfigurationError, match="files of \\[fleet\\] are no cert") as refused:
        fleet.check_certificates(replace(good, **{name: str(empty)}))
    assert refused.value.exit_code == 3


def test_without_a_scheduler_it_says_so(monkeypatch):
    monkeypatch.setattr(fleet, "_CONNECT", 1.0)
    with pytest.raises(InputError, match="no scheduler answers at tcp"):
        fleet.connect(Fleet("tcp://127.0.0.1:1"))


def test_without_dask_it_gives_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(CapabilityError, match=r"pip install 'mobileopt\[fleet\]'"):
        fleet.require()
