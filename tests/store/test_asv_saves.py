import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mobileopt.store import Environment, Store, install

from .entries import LATENCY, MACHINE, entry

ROOT = Path(__file__).parents[2]
PLUGIN = "from mobileopt.store import install\n\ninstall()\n"
# Between asv's reading of the result file and its saving, a collector stores a phone's result.
SUITE = '''
import os, sys
from pathlib import Path

def track_host():
    """Runs while another process, the collector of a phone, stores a result."""
    if "COLLECT" in os.environ:
        import subprocess
        subprocess.run([sys.executable, "collect.py"], cwd=os.environ["COLLECT"], check=True)
    return 3.0
track_host.version = "1"

def needs_device(model):
    if "DEVICE" not in os.environ:
        raise NotImplementedError("no device")

def track_device(model):
    return 7.0 if model == "a" else 8.0
track_device.setup = needs_device
track_device.params = ["a", "b"]
track_device.param_names = ["model"]
track_device.version = "1"

def track_broken():
    if "DEVICE" not in os.environ:
        raise RuntimeError("broken")
    return 9.0
track_broken.version = "1"

def track_some(model):
    print("looking for", model)
    if model == "b" and "DEVICE" not in os.environ:
        raise ValueError("no model b")
    return 5.0
track_some.params = ["a", "b"]
track_some.param_names = ["model"]
track_some.version = "1"

def track_killed():
    if "DEVICE" not in os.environ:
        os._exit(7)
    return 1.0
track_killed.version = "1"
'''
COLLECT = """
import json
from datetime import UTC, datetime
from pathlib import Path
from mobileopt.store import Benchmark, Entry, Environment, Store

(path,) = [p for p in Path("results/host").glob("*.json") if p.name != "machine.json"]
stored = json.loads(path.read_text())
Store("results").add(Entry(
    run="phone-1", machine={"machine": "host"}, commit=stored["commit_hash"],
    date=datetime.now(UTC), environment=Environment(stored["env_name"], stored["python"]),
    benchmark=Benchmark("phone.track_latency", "1"), started_at=datetime.now(UTC),
    samples=(0.5, 0.6),
))
"""


class Project:
    """A repository with a suite, as asv's user has it."""

    def __init__(self, path):
        self.path = path
        self.results = path / "results"
        self.environ = os.environ | {
            "HOME": str(path),
            "PYTHONPATH": str(ROOT),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        for name, text in {
            "asv.conf.json": json.dumps(self.configuration()),
            "store_plugin.py": PLUGIN,
            "collect.py": COLLECT,
            "benchmarks/__init__.py": "",
            "benchmarks/suite.py": SUITE,
        }.items():
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_text(text)
        self.run("git", "init", "-q", "-b", "main", ".")
        self.commits = [self.commit(number) for number in (1, 2, 3, 4, 5, 6)]
        fields = ["--os", "x", "--arch", "x", "--cpu", "x", "--num_cpu", "1", "--ram", "1"]
        self.asv("machine", "--machine", "host", *fields)

    def configuration(self):
        return {
            "version": 1,
            "project": "p",
            "repo": ".",
            "branches": ["main"],
            "environment_type": "virtualenv",
            "results_dir": "results",
            "html_dir": "html",
            "plugins": [".store_plugin"],
        }

    def commit(self, number):
        (self.path / "code.txt").write_text(str(number))
        self.run("git", "add", "code.txt")
        author = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        stamp = {"GIT_COMMITTER_DATE": f"2026-01-0{number}T00:00:00Z"}
        self.run("git", *author, "commit", "-q", "-m", str(number), **stamp)
        return self.run("git", "rev-parse", "HEAD").strip()

    def run(self, *command, check=True, **environ):
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        assert not check or done.returncode == 0, output
        return output

    def asv(self, *arguments, check=True, **environ):
        return self.run(sys.executable, "-m", "asv", *arguments, check=check, **environ)

    def measure(self, *arguments, check=True, **environ):
        return self.asv(
            "run", "--machine", "host", "-E", "existing:same", "--quick", "--set-commit-hash",
            self.commits[-1], *arguments, check=check, **environ,
        )  # fmt: skip

    def result_file(self):
        (path,) = [p for p in (self.results / "host").glob("*.json") if p.name != "machine.json"]
        return path

    def value(self, name):
        document = json.loads(self.result_file().read_text())
        return document["results"].get(name, [None])[0]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")


def test_a_phones_result_stored_during_an_asv_run_survives_its_save(project):
    project.measure("--bench", "track_host")
    project.measure("--bench", "track_host", COLLECT=str(project.path))
    assert project.value("phone.track_latency") == [0.55]
    assert project.value("suite.track_host") == [3.0]
    (record,) = Store(project.results).runs()
    assert record["run"] == "phone-1"


def test_without_the_store_the_same_run_loses_the_phones_result(project):
    project.measure("--bench", "track_host")
    (project.path / "store_plugin.py").write_text("")
    project.measure("--bench", "track_host", COLLECT=str(project.path))
    assert project.value("suite.track_host") == [3.0]
    assert project.value("phone.track_latency") is None


def test_an_asv_run_without_its_device_loses_no_value(project):
    project.measure(DEVICE="1")
    output = project.measure(check=False)
    assert "n/a" in output
    assert "failed" in output
    assert project.value("suite.track_device") == [7.0, 8.0]
    assert project.value("suite.track_broken") == [9.0]


def failures(project):
    return {
        (record["benchmark"], *record["combination"]): record
        for record in Store(project.results).runs()
    }


def test_why_a_benchmark_failed_is_kept_as_a_phones_failure_is(project):
    project.measure(check=False)
    found = failures(project)
    assert {key: each["reason"] for key, each in found.items()} == {
        ("suite.track_broken",): "RuntimeError: broken",
        ("suite.track_some", "'b'"): "ValueError: no model b",
        ("suite.track_killed",): "exit status 7 and not a word",
    }
    some = found["suite.track_some", "'b'"]
    assert "looking for b" in some["context"]["output"]
    assert "looking for a" not in some["context"]["output"]
    assert (some["kind"], some["version"], some["context"]["exit_status"]) == ("run", "1", 1)


def test_a_failure_asv_merely_carries_along_is_not_told_again(project):
    project.measure(check=False)
    project.measure("--bench", "track_host")
    project.measure("--bench", r"track_some\('a'\)")
    assert len(list(Store(project.results).runs())) == 3


def test_a_discovery_of_asvs_keeps_the_benchmarks_a_collector_registered(project):
    project.measure("--bench", "track_host")
    project.run(sys.executable, "collect.py")
    project.measure("--bench", "track_host")
    listed = json.loads((project.results / "benchmarks.json").read_text())
    assert {"phone.track_latency", "suite.track_host", "suite.track_device"} < listed.keys()
    assert Store(project.results).verify() == []


def test_what_asv_rm_removes_stays_removed(project):
    project.measure(DEVICE="1")
    project.asv("rm", "-y", "benchmark=suite.track_device")
    assert project.value("suite.track_device") is None
    assert project.value("suite.track_host") == [3.0]


def test_asv_refuses_a_commit_whose_file_holds_another_before_it_measures(project):
    project.measure("--bench", "track_host")
    path = project.result_file()
    document = json.loads(path.read_text())
    document["commit_hash"] = document["commit_hash"][:8] + "0" * 32
    path.write_text(json.dumps(document))
    output = project.measure(check=False, COLLECT="/nonexistent")
    assert "whose first 8 digits" in output
    assert "Traceback" not in output
    assert json.loads(path.read_text()) == document


def test_asv_goes_on_past_a_damaged_file_which_is_moved_aside(project):
    project.measure("--bench", "track_host")
    path = project.result_file()
    path.write_text(path.read_text()[:100])
    project.measure("--bench", "track_host")
    assert project.value("suite.track_host") == [3.0]
    assert len(list(path.parent.glob("*.damaged-*"))) == 1


def phone(project, index, combination, samples, **changes):
    return entry(
        index,
        samples,
        commit=project.commits[index],
        date=datetime(2026, 1, index + 1, tzinfo=UTC),
        environment=Environment("py3.11", "3.11"),
        combination=combination,
        **changes,
    )


def test_asv_show_compare_and_publish_read_what_the_store_wrote(project):
    store = Store(project.results)
    for index in range(6):
        slow = 1.5 if index >= 3 else 1.0
        samples = tuple(slow + 0.001 * k for k in range(8))
        store.add(phone(project, index, ("resnet18", "nhwc"), samples))
        store.add(phone(project, index, ("resnet18", "nchw"), tuple(s * 2 for s in samples)))
        store.add(phone(project, index, ("mobilenet_v2", "nchw"), ()))
    shown = project.asv("show", "--details", "--machine", "pixel6", project.commits[0])
    assert LATENCY.name in shown
    assert "resnet18" in shown
    assert "1.00" in shown
    compared = project.asv("compare", "--machine", "pixel6", project.commits[2], project.commits[3])
    assert "1.5" in compared
    published = project.asv("publish", "--no-pull")
    assert "Error" not in published
    regressions = json.loads((project.path / "html" / "regressions.json").read_text())
    assert {name for name, *_ in regressions["regressions"]} == {
        f"{LATENCY.name}('resnet18', '{layout}')" for layout in ("nchw", "nhwc")
    }
    index = json.loads((project.path / "html" / "index.json").read_text())
    assert index["machines"]["pixel6"]["cpu"] == MACHINE["cpu"]


def test_installing_twice_wraps_once():
    # In a process of its own: the rest of the tests use asv as it comes.
    code = (
        "from mobileopt.store import install; from asv.results import Results;"
        "install(); first = Results.save; install(); assert Results.save is first;"
        "assert not hasattr(first.__wrapped__, '__wrapped__')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert callable(install)


def test_the_store_is_imported_without_torch():
    code = "import mobileopt.store.frame, mobileopt.store, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
