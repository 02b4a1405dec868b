from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from measured_repository import commit, git, repository

from mobileopt.errors import MeasurementError
from mobileopt.gate import commits_compared
from mobileopt.gate.commits_compared import compare_commits
from mobileopt.gate.finding import CHANGED, EXPORT, PASS_TIME
from mobileopt.gate.work import QUIET, SIDES, Question, Work

STAND_IN = """
import os
import sys
from pathlib import Path

checkout = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
print((checkout / "answers").read_text(), end="")
sys.exit("torch is not here")
"""
"""In place of the program that applies passes: it says what stands in the checkout, and ends."""


@pytest.fixture(autouse=True)
def _stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "stand_in.py"
    program.write_text(STAND_IN)
    monkeypatch.setattr(commits_compared, "PASS_EXECUTION", program)


def passes(folder: Path, *names: str, **told: list[dict[str, Any]]) -> Work:
    """The passes of two checkouts compared; `told` is what each side's program answers."""
    for side in SIDES:
        (folder / side).mkdir()
        (folder / side / "answers").write_text("".join(f"{json.dumps(e)}\n" for e in told[side]))
    question = Question(folder, "base", "head", pass_models=("mlp",), passes=names)
    work = Work(question, folder, QUIET, time.monotonic() + 60)
    commits_compared._compare_passes(work)
    return work


def does(name: str, changed: int) -> dict[str, Any]:
    return {"pass": name, "changed": changed}


def refuses(name: str, reason: str) -> dict[str, Any]:
    return {"pass": name, "refused": reason}


def test_a_pass_is_compared_by_what_it_changes_and_timed_where_both_do_it(tmp_path: Path):
    work = passes(
        tmp_path, "fx", "fused", base=[does("fx", 2), does("fused", 1)],
        head=[does("fused", 1), does("fx", 1)],
    )  # fmt: skip
    found = [(each.metric, each.subject, each.outcome) for each in work.findings]
    assert found == [(CHANGED, "mlp/fx", "worse"), (CHANGED, "mlp/fused", "ok")]
    assert [(each.metric, each.subject) for each in work.pairs] == [
        (PASS_TIME, "mlp/fx"),
        (PASS_TIME, "mlp/fused"),
    ]


def test_what_the_base_refuses_is_skipped_and_what_the_head_refuses_is_worse(tmp_path: Path):
    work = passes(
        tmp_path, "fx", "fused", "int8",
        base=[does("fx", 2), refuses("fused", "no fuser"), does("int8", 1)],
        head=[refuses("fx", "no fx"), does("fused", 1), does("int8", 1)],
    )  # fmt: skip
    assert work.skipped == {"mlp/fused": "the base cannot do it: no fuser"}
    [refused, _] = work.findings
    assert (refused.metric, refused.subject, refused.outcome) == (EXPORT, "mlp/fx", "worse")
    assert refused.reason == "no fx"
    [pair] = work.pairs
    assert pair.subject == "mlp/int8"
    for side in pair.sides.values():
        assert side.argv[-2:] == ("mlp", "int8")  # a pass one side refuses would end its process


def test_a_pass_a_program_died_of_is_refused_with_its_last_words(tmp_path: Path):
    work = passes(tmp_path, "fx", "fused", base=[does("fx", 2)], head=[])
    assert work.skipped == {"mlp/fused": "the base cannot do it: torch is not here"}
    assert [each.reason for each in work.findings] == ["torch is not here"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    repository(tmp_path / "code", 2)
    return tmp_path / "code"


def test_a_program_that_answers_nonsense_is_named_and_no_checkout_stays(folder: Path):
    (folder / "answers").write_text("Traceback\n")
    git(folder, "add", "answers")
    commit(folder, "nonsense")
    with pytest.raises(MeasurementError, match="applies the base's passes said 'Traceback'"):
        compare_commits(Question(folder, "HEAD", "HEAD", passes=("fx",)))
    assert len(git(folder, "worktree", "list").splitlines()) == 1


def test_a_reader_is_told_what_was_compared_with_what(folder: Path):
    apart = compare_commits(Question(folder, "HEAD~1", "HEAD"))
    assert (apart.notes, apart.findings) == ((), ())
    assert (apart.base, apart.head) == tuple(git(folder, "rev-parse", "HEAD~1", "HEAD").split())
    (folder / "work.txt").write_text("half done")
    same = compare_commits(Question(folder, "HEAD", "main"))
    assert [each.partition(" are")[0] for each in same.notes] == [
        "The base and the head",
        "Commits",
    ]
