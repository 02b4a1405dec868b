import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from nightly.laboratory import HOST, Laboratory

from mobileopt.errors import ServerError
from mobileopt.nightly import config as configuration
from mobileopt.nightly.jobs import Job, Machine, Outcome
from mobileopt.store import Store
from tools import _night_jobs as jobs
from tools import _night_worker as work
from tools import worker


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A host of a lab: its own clone, configuration and store; jobs are done by a laboratory."""
    made = Laboratory(tmp_path / "lab", count=3)
    path = made.folder / "nightly.toml"
    path.write_text('[repository]\npath = "clone"\nremote = ""\n')
    monkeypatch.setenv(work.CONFIG, str(path))
    monkeypatch.setattr(jobs, "perform", lambda config, job: made.submit(job).result())
    monkeypatch.setattr(jobs, "results_folder", lambda config: made.folder / "results")
    return made


def measure(lab, number):
    return Job("measure", HOST, lab.commits[number])


def compare(lab):
    return Job(
        "compare", HOST, lab.commits[2], lab.commits[0], "latency.time_forward",
        "mlp/fused-float-nchw-mobile",
    )  # fmt: skip


def test_results_come_back_as_the_files_of_their_commit(lab, tmp_path):
    work.perform(measure(lab, 0))
    outcome = work.perform(measure(lab, 1))
    names = sorted(outcome.files)
    stem = f"host/{lab.commits[1][:8]}-py3.11"
    assert names == ["benchmarks.json", f"{stem}.json", f"{stem}.jsonl", "host/machine.json"]
    for name, text in outcome.files.items():
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / name).write_text(text)
    assert len(Store(tmp_path / "copy").frame()) == 2


def test_a_job_submitted_again_is_answered_from_what_is_written_down(lab):
    first, again = work.perform(measure(lab, 0)), work.perform(measure(lab, 0))
    assert len(lab.done) == 1
    assert again.files == first.files
    judged = work.perform(compare(lab))
    assert work.perform(compare(lab)).found == judged.found
    assert len(lab.done) == 2


def test_a_failure_is_not_written_down_and_tried_again(lab):
    lab.fault = lambda job: ("machine", "gone")
    assert work.perform(measure(lab, 0)).fault == "machine"
    lab.fault = lambda job: ("", "")
    assert work.perform(measure(lab, 0)).ok


def test_results_that_were_removed_are_measured_again(lab):
    work.perform(measure(lab, 0))
    for path in (lab.folder / "results" / "host").glob(f"{lab.commits[0][:8]}*"):
        path.unlink()
    assert work.perform(measure(lab, 0)).files
    assert len(lab.done) == 2


def test_a_second_try_waits_for_the_first_on_the_same_machine(lab, monkeypatch):
    begun, go_on, count = threading.Event(), threading.Event(), []

    def slow(config, job):
        count.append(job)
        begun.set()
        assert go_on.wait(20)
        return lab.submit(job).result()

    monkeypatch.setattr(jobs, "perform", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(work.perform, measure(lab, 0))
        assert begun.wait(20)
        second = pool.submit(work.perform, measure(lab, 0))
        go_on.set()
        assert first.result(20).files == second.result(20).files
    assert len(count) == 1


def test_list_says_what_would_be_offered(lab, monkeypatch, capsys):
    machines = [HOST, Machine("pixel-8", "R58M")]
    monkeypatch.setattr(work, "machines", lambda: machines)
    path = lab.folder / "nightly.toml"
    assert worker.main(["--config", str(path), "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == ["device:R58M", "host:host"]


def test_a_worker_without_a_scheduler_is_a_broken_configuration(lab, capsys):
    assert worker.main(["--config", str(lab.folder / "nightly.toml")]) == 3
    assert "whom to work for" in capsys.readouterr().err


def test_a_worker_that_can_have_no_machine_says_so(lab, monkeypatch, capsys):
    path = lab.folder / "nightly.toml"
    path.write_text(path.read_text() + "[host]\nenabled = false\n")
    assert worker.main(["--config", str(path), "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "no machine to offer" in capsys.readouterr().err


def test_a_worker_whose_certificates_are_missing_is_a_broken_configuration(lab, capsys):
    path = lab.folder / "nightly.toml"
    files = "".join(f'{name} = "tls/{name}"\n' for name in ("ca", "certificate", "private_key"))
    path.write_text(f'{path.read_text()}[fleet]\nscheduler = "tls://lab:8786"\n{files}')
    assert worker.main(["--config", str(path)]) == 3
    assert f"fleet.ca has '{lab.folder}/tls/ca', which is no file" in capsys.readouterr().err


def test_exports_are_pruned_after_each_job(lab, monkeypatch):
    pruned = []
    monkeypatch.setattr(jobs, "tidy", lambda: pruned.append(len(lab.done)))
    work.perform(measure(lab, 0)), work.perform(compare(lab))
    assert pruned == [1, 2]


def test_machines_are_looked_for_again_a_few_times_after_what_adb_lists_has_changed(
    lab, monkeypatch
):
    asked = []
    listed = [{("R58M", "device")}]
    monkeypatch.setattr(work, "connections", lambda: frozenset(listed[-1]))
    monkeypatch.setattr(work, "machines", lambda: asked.append(1) or [HOST])
    look = work.Look(tries=2)
    assert [look() for _ in range(4)] == [[HOST], [HOST], None, None]
    listed.append(set())
    assert [look() for _ in range(3)] == [[HOST], [HOST], None]
    assert len(asked) == 4


def test_a_server_that_does_not_answer_takes_no_phone_away(lab, monkeypatch):
    def silent():
        raise ServerError("no server answers")

    monkeypatch.setattr(work, "machines", lambda: [HOST])
    monkeypatch.setattr(work, "connections", frozenset)
    look = work.Look(tries=1)
    look()
    monkeypatch.setattr(work, "connections", silent)
    assert look() is None
    assert work.Look()() == [HOST]


def test_an_outcome_of_a_comparison_has_no_files(lab):
    assert work.perform(compare(lab)).files == Outcome(compare(lab)).files == {}
    assert configuration.load(lab.folder / "nightly.toml").repository_path.is_dir()
