import json
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import replace

import pytest
from nightly.laboratory import HOST, Killed, Laboratory, git

from mobileopt import errors
from mobileopt.nightly import config as configuration
from mobileopt.nightly import lock, night
from tools import _night_jobs as jobs
from tools import nightly


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A laboratory behind the real command; its clone has a configuration of asv's."""
    made = Laboratory(tmp_path / "lab")
    conf = {"version": 1, "repo": ".", "plugins": [".mobileopt.asv_plugin"],
            "results_dir": str(made.folder / "results")}  # fmt: skip
    (made.folder / "clone" / "asv.conf.json").write_text(json.dumps(conf))
    text = '[repository]\npath = "clone"\nremote = ""\n[schedule]\nnewest = 10\n'
    (made.folder / "nightly.toml").write_text(text)
    monkeypatch.setattr(jobs, "LocalLab", lambda config: made)
    monkeypatch.setattr(nightly.orphans, "adopt", lambda folder: [])
    return made


@pytest.fixture
def command(lab, capsys):
    def run(*arguments):
        path = lab.folder / "nightly.toml"
        code = nightly.main(["--config", str(path), "--no-publish", *arguments])
        return code, *capsys.readouterr()

    return run


def test_a_regression_is_reported_once_and_then_known(lab, command):
    lab.slow(6)
    code, out, _ = command()
    assert code == 1
    assert out.startswith("1 regression from 1 commit\n")
    folder = lab.folder / "nightly"
    assert lab.commits[6][:8] in (folder / "report.md").read_text()
    assert lab.commits[6][:8] in (folder / "feed.atom").read_text()
    code, out, _ = command("--json")
    assert code == 0
    assert [each["new"] for each in json.loads(out)["changes"]] == [False]
    assert lab.commits[6][:8] in (folder / "feed.atom").read_text()


def test_who_could_not_be_told_is_told_the_next_night(lab, command):
    lab.slow(6)
    with (lab.folder / "nightly.toml").open("a") as file:
        file.write('[webhook]\nurl = "http://127.0.0.1:1/"\n')
    code, _, err = command()
    assert code == 1
    assert "somebody was not told" in err
    assert command()[0] == 1


def test_a_report_that_cannot_be_written_is_told_all_the_same(lab, command, monkeypatch):
    lab.slow(6)
    told = []
    monkeypatch.setattr(nightly.telling, "tell", lambda report, config: told.append(report) or [])
    (lab.folder / "nightly").write_text("a file where the folder should be")
    code, _, err = command()
    assert (code, len(told)) == (1, 1)
    assert "the report was not written" in err
    (lab.folder / "nightly").unlink()
    assert command()[0] == 1  # the readers of the report have not seen it yet


def test_the_site_shows_the_branch_that_is_measured(lab, command, monkeypatch, capsys):
    asked = []
    publish = lambda *given: asked.append(given) or (lab.folder, [])  # noqa: E731
    monkeypatch.setattr(nightly, "publish", publish)
    git(lab.folder / "clone", "branch", "ahead")
    git(lab.folder / "clone", "checkout", "-q", "--detach", lab.commits[2])
    path = lab.folder / "nightly.toml"
    path.write_text(path.read_text().replace("remote", 'branch = "ahead"\nremote'))
    assert nightly.main(["--config", str(path)]) == 0
    assert len(lab.measured()) == 10
    assert [given[-1] for given in asked] == ["ahead"]


def test_a_phone_that_was_repaired_can_be_released(lab, command):
    standings = night.quarantine(configuration.load(lab.folder / "nightly.toml"))
    for _ in range(3):
        standings.strike("R58M", "the cable came off", lab.time)
    code, _, err = command("--release", "R58")
    assert code == 2
    assert "did you mean 'R58M'?" in err
    code, out, _ = command("--release", "R58M")
    assert (code, out) == (0, "R58M is used again; it had failed with: the cable came off\n")
    assert not standings.is_out("R58M", lab.time)
    assert lab.done == []


def test_a_night_that_was_killed_goes_on(lab, command):
    lab.slow(6)

    def fault(job):
        if len(lab.done) == 11:
            raise Killed
        return "", ""

    lab.fault = fault
    with pytest.raises(Killed):
        command()
    lab.fault = lambda job: ("", "")
    assert command()[0] == 1
    assert len(lab.measured()) == 10


def test_a_second_nightly_is_refused_with_who_is_at_work(lab, command):
    with lock.held(night.prepare(configuration.load(lab.folder / "nightly.toml"))):
        code, _, err = command()
    assert code == 2
    assert "another nightly works in" in err
    assert "process" in err


def test_until_reaches_the_schedule(lab, command):
    lab.seconds = 100_000.0
    code, out, _ = command("--until", "06:30", "--json")
    told = json.loads(out)
    assert code == 0
    assert len(told["left"]) == 9  # nobody knew how long the first would take
    assert all("no time was left" in each for each in told["left"])


@pytest.mark.parametrize(
    "text", ["[schedule]\nuntill = '06:30'\n", "[repository]\npath = 'none'\n"]
)
def test_a_broken_configuration_is_exit_code_3_and_one_sentence(lab, command, text):
    (lab.folder / "nightly.toml").write_text(text)
    code, out, err = command()
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 1


def test_init_writes_a_configuration_and_never_over_one(tmp_path, capsys):
    path = tmp_path / "nightly.toml"
    assert nightly.main(["--init", str(path)]) == 0
    assert path.read_text() == configuration.template()
    assert nightly.main(["--init", str(path)]) == 2
    assert "File exists" in capsys.readouterr().err


def test_a_mistake_in_the_code_is_never_taken_for_a_regression(lab, command):
    def broken(job):
        future = Future()
        future.set_exception(ZeroDivisionError())
        return future

    lab.submit = broken
    code, _, err = command()
    assert code == 2
    assert "ZeroDivisionError" in err


def test_no_git_status_shows_a_nightlys_memory(lab, command):
    command()
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=lab.folder / "clone", capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert ".nightly" not in done.stdout


def test_help_has_examples_and_exit_codes():
    done = subprocess.run(
        [sys.executable, "-m", "tools.nightly", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "exit codes: 0 nothing new, 1 a regression was confirmed" in done.stdout


def test_jobs_of_one_machine_run_without_dask(lab):
    program = "import sys, tools.nightly; sys.exit('distributed' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == 0


def test_the_failure_of_a_job_says_whose_it_is(lab, monkeypatch):
    config = replace(lab.config(), root=lab.folder)
    for error, fault in (
        (errors.ConnectionLostError("gone"), "machine"),
        (errors.StoreError("full"), "machine"),
        (errors.NotReadyError("in use"), "busy"),
        (errors.ProgramError("newer", "op missing"), "commit"),
        (errors.CombinationError("no NHWC"), "commit"),
    ):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr(jobs, "_measure", fail)
        job = jobs.Job("measure", HOST, lab.commits[0])
        outcome = jobs.perform(config, job)
        assert (outcome.fault, outcome.reason) == (fault, str(error))
