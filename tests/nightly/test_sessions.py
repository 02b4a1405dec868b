import json
from dataclasses import replace
from pathlib import Path

import pytest

from mobileopt import commits, measure
from mobileopt.errors import CombinationError
from mobileopt.gate.finding import PASS_TIME
from mobileopt.measure import Record
from mobileopt.nightly import sessions
from mobileopt.nightly.config import Confirm
from mobileopt.nightly.jobs import Job, Machine
from mobileopt.nightly.sessions import AFTER, AGAIN, BEFORE, TimeUpError
from nightly.test_judgement import ARTIFACT

PLAN = Confirm(launches=12, rounds=2)
JOB = Job("compare", Machine("host"), "b" * 40, "a" * 40, "latency.time_forward",
          str(ARTIFACT.variant))  # fmt: skip


def record(slower=1.0, again=1.0, rounds=24):
    """A session in which the later commit takes `slower` times as long."""
    levels = {BEFORE: 1.0, AGAIN: again, AFTER: slower}
    wall = {
        name: [(level * (1 + (number * 7 % 5) / 1000),) for number in range(rounds)]
        for name, level in levels.items()
    }
    return Record(wall, wall, [number // 2 for number in range(rounds)])


class Kept:
    """Exports of two commits."""

    def __init__(self, before, after):
        self.made = {JOB.good: before, JOB.commit: after}

    def get(self, commit, variant):
        if self.made[commit] is None:
            raise CombinationError("it does not build")
        return self.made[commit]


def never(*_):
    pytest.fail("nothing had to be measured")


def test_a_slower_commit_is_slower():
    judged = sessions.of_record(record(1.1), 0.03, 0.01)
    assert judged.verdict == "slower"
    assert judged.ratio == pytest.approx(1.1, abs=0.005)


def test_a_commit_that_differs_from_itself_tells_nothing():
    judged = sessions.of_record(record(1.1, again=1.05), 0.03, 0.01)
    assert judged.verdict == "unclear"
    assert "the control" in judged.sentence


def test_files_that_are_equal_to_the_bit_are_not_measured():
    judged = sessions.judge(JOB, Kept(ARTIFACT, ARTIFACT), 0.03, never)
    assert (judged.verdict, judged.how) == ("same", "identical")


def test_sizes_are_compared_as_numbers():
    grown = replace(ARTIFACT, size=1100, sha256="1" * 64)
    job = replace(JOB, metric="size.track_artifact")
    judged = sessions.judge(job, Kept(ARTIFACT, grown), 0.03, never)
    assert (judged.verdict, judged.ratio) == ("slower", 1.1)


def test_a_commit_that_does_not_build_is_told_by_its_own_error():
    with pytest.raises(CombinationError, match="does not build"):
        sessions.judge(JOB, Kept(ARTIFACT, None), 0.03, never)


@pytest.fixture
def session(monkeypatch, tmp_path):
    def of(measured):
        monkeypatch.setattr(measure, "session", lambda *_, **__: measured)
        return sessions.on_host(PLAN, tmp_path / "raw")

    return of


def test_the_raw_samples_of_a_session_are_kept(session, tmp_path):
    judged = session(record(1.2))(ARTIFACT_HERE, ARTIFACT_HERE, JOB)
    assert judged.verdict == "slower"
    [file] = (tmp_path / "raw").iterdir()
    assert file.name == f"{JOB.id}.json"


ARTIFACT_HERE = replace(ARTIFACT, folder=Path("here"))


def test_a_session_that_was_cut_short_decides_nothing(session):
    with pytest.raises(TimeUpError):
        session(record(1.2, rounds=10))(ARTIFACT_HERE, ARTIFACT_HERE, JOB)


def test_ctrl_c_in_a_session_ends_the_night(session):
    stopped = replace(record(), interrupted=True)
    with pytest.raises(KeyboardInterrupt):
        session(stopped)(ARTIFACT_HERE, ARTIFACT_HERE, JOB)


def test_the_earlier_commit_runs_in_two_processes_that_are_compared(session, monkeypatch):
    compare, asked = session(record()), []
    monkeypatch.setattr(measure, "session", lambda runs, *_, **__: asked.append(runs) or record())
    compare(ARTIFACT_HERE, ARTIFACT_HERE, JOB)
    [runs] = asked
    assert runs[BEFORE] != runs[AGAIN]
    assert runs[BEFORE].resolve() == runs[AGAIN].resolve()


@pytest.mark.slow
def test_a_pass_is_timed_at_both_commits_by_their_own_code(tmp_path):
    head = commits.resolve(Path(), "HEAD")
    job = replace(JOB, commit=head, good=head, metric=PASS_TIME, variant="mlp/fused")
    plan = Confirm(launches=4, rounds=2, samples=1)
    judged = sessions.judge_pass(job, Path(), plan, tmp_path)
    assert judged.how in ("session", "broken")  # which of them is this machine's affair
    raw = json.loads(next(tmp_path.iterdir()).read_text())
    assert {name: len(rounds) for name, rounds in raw["wall"].items()} == {
        BEFORE: 8, AGAIN: 8, AFTER: 8,
    }  # fmt: skip
