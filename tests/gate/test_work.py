from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mobileopt.errors import MeasurementError
from mobileopt.gate.work import QUIET, OutOfTime, Question, Told, Work, answers, last

WHO = "import mobileopt; print(mobileopt.WHO)"


def work(folder: Path, seconds: float = 60.0, told: Told = QUIET) -> Work:
    return Work(Question(folder, "base", "head"), folder, told, time.monotonic() + seconds)


def said(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], 0, text, "")


def test_what_there_is_no_time_for_is_said_and_named(tmp_path: Path):
    steps: list[str] = []
    late = work(tmp_path, -1.0, Told(step=steps.append))
    with pytest.raises(OutOfTime, match=r"^exporting mlp$"):
        late.begin("exporting mlp")
    assert steps == ["exporting mlp"]


def test_a_program_that_outlives_the_budget_is_the_end_of_the_step_it_belongs_to(tmp_path: Path):
    late = work(tmp_path, 0.3)
    late.begin("counting")
    with pytest.raises(OutOfTime, match=r"^counting$"):
        late.run([sys.executable, "-S", "-c", "import time; time.sleep(60)"], tmp_path)


def test_a_program_runs_with_the_mobileopt_of_its_checkout(tmp_path: Path):
    (tmp_path / "mobileopt").mkdir()
    (tmp_path / "mobileopt" / "__init__.py").write_text("WHO = 'an old commit'")
    done = work(tmp_path).run([sys.executable, "-P", "-c", WHO], tmp_path)
    assert done.stdout == "an old commit\n"


def test_a_program_that_fails_is_left_to_who_asked(tmp_path: Path):
    done = work(tmp_path).run([sys.executable, "-S", "-c", "raise SystemExit('no')"], tmp_path)
    assert (done.returncode, done.stdout, last(done.stderr)) == (1, "", "no")


def test_a_program_answers_an_object_a_line():
    assert answers("it", said('{"a": 1}\n{"b": NaN}\n'))[0] == {"a": 1}
    assert answers("it", said("")) == []


@pytest.mark.parametrize("line", ["[1]", "3", "null", "Warning: {}", '{"cut": ', " "])
def test_anything_else_is_told_with_what_it_said(line: str):
    with pytest.raises(MeasurementError, match=r"the program said .* where its answer"):
        answers("the program", said(f'{{"a": 1}}\n{line}\n'))


@pytest.mark.parametrize(
    ("errors", "told"),
    [("", "it said nothing"), (" \n\n", "it said nothing"), ("a\nb \n\n", "b"), ("a", "a")],
)
def test_the_last_of_what_it_complained_of_is_told(errors: str, told: str):
    assert last(errors) == told
