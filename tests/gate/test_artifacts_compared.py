from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from mobileopt import artifact
from mobileopt.artifact import Artifact, Fidelity
from mobileopt.errors import MeasurementError
from mobileopt.gate import artifacts_compared
from mobileopt.gate.finding import EXPORT, LATENCY, NOISE, SIZE
from mobileopt.gate.work import QUIET, SIDES, Question, Work
from mobileopt.variant import Recipe, Variant

FLOAT, INT8 = "fx-float-nchw-mobile", "fx-int8_qnnpack-nchw-mobile"
STAND_IN = """
import sys
from pathlib import Path

code = Path(__file__).parents[1]
with (code.parent / "places").open("a") as places:
    print(code, file=places)
print((code / "answers").read_text(), end="")
sys.exit("torch is not here")
"""
"""In place of a commit's mobileopt, and of today's: it says what stands beside it, and ends."""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    for name in (*SIDES, "harness"):
        (tmp_path / name / "mobileopt").mkdir(parents=True)
        (tmp_path / name / "mobileopt" / "__init__.py").touch()
        (tmp_path / name / "mobileopt" / "__main__.py").write_text(STAND_IN)
        say(tmp_path, name)
    monkeypatch.setattr(artifacts_compared, "HARNESS", tmp_path / "harness")
    recipes = (Recipe.parse(FLOAT), Recipe.parse(INT8))
    question = Question(tmp_path, "base", "head", models=("mlp",), recipes=recipes)
    return Work(question, tmp_path, QUIET, time.monotonic() + 60)


def say(folder: Path, who: str, *told: dict[str, Any]) -> None:
    text = "".join(f"{json.dumps(each)}\n" for each in told)
    (folder / who / "answers").write_text(text)


def made(folder: Path, side: str, recipe: str, size: int, noise: float = 0.1) -> dict[str, Any]:
    """What an export answers, having written an artifact."""
    where = folder / f"{side}-artifacts" / recipe
    where.mkdir(parents=True)
    (where / "model.pt").write_bytes(bytes(size))
    variant, digest = Variant.parse(f"mlp/{recipe}"), hashlib.sha256(bytes(size)).hexdigest()
    fidelity = Fidelity(noise, 1.0, 0.0, 1)
    about = ((), None, "seeded", None, fidelity, {}, {}, where)
    artifact.write(Artifact(variant, "model.pt", digest, size, *about))
    return {"folder": str(where)}


def refuses(recipe: str) -> dict[str, Any]:
    return {"recipe": recipe, "refused": f"no {recipe}"}


def inspected(told: dict[str, Any], **counts: int | None) -> dict[str, Any]:
    return {"target": told["folder"], **counts}


def test_sizes_errors_and_counts_are_compared_and_times_are_left_to_be_measured(work: Work):
    old = made(work.folder, "base", FLOAT, 10, noise=0.1)
    new = made(work.folder, "head", FLOAT, 11, noise=0.05)
    say(work.folder, "base", old, refuses(INT8))
    say(work.folder, "head", new, refuses(INT8))
    counted = inspected(old, operator_calls=4, flops=None)
    say(work.folder, "harness", inspected(new, operator_calls=5, flops=7), counted)
    artifacts_compared.compare(work)
    found = {each.metric: (each.base, each.head, each.outcome) for each in work.findings}
    assert found[SIZE] == (10, 11, "worse")
    assert found[NOISE] == (0.1, 0.05, "ok")
    assert found["graph.track_operator_calls"] == (4, 5, "worse")
    assert "graph.track_flops" not in found  # which one side does not count
    assert [(each.metric, each.subject) for each in work.pairs] == [(LATENCY, f"mlp/{FLOAT}")]


def test_what_only_the_base_can_make_is_worse_and_what_it_cannot_is_skipped(work: Work):
    say(work.folder, "base", made(work.folder, "base", FLOAT, 10), refuses(INT8))
    say(work.folder, "head", refuses(FLOAT), made(work.folder, "head", INT8, 10))
    artifacts_compared.compare(work)
    [found] = work.findings
    assert (found.metric, found.subject, found.outcome) == (EXPORT, f"mlp/{FLOAT}", "worse")
    assert found.reason == f"no {FLOAT}"
    assert work.skipped == {f"mlp/{INT8}": f"the base cannot make it: no {INT8}"}
    assert work.pairs == []


def test_a_head_that_dies_has_refused_everything_and_a_base_that_dies_ends_it(work: Work):
    say(work.folder, "base", made(work.folder, "base", FLOAT, 10), refuses(INT8))
    artifacts_compared.compare(work)
    assert [each.reason for each in work.findings] == ["the export ended early: torch is not here"]
    say(work.folder, "base")
    with pytest.raises(MeasurementError, match=r"^the base's code cannot export mlp: the export"):
        artifacts_compared.compare(work)


def test_both_sides_export_from_one_path_and_are_put_back_also_by_a_failure(work: Work):
    say(work.folder, "base", refuses(FLOAT), refuses(INT8))
    artifacts_compared.compare(work)
    places = (work.folder / "places").read_text().splitlines()
    assert places == [str(work.folder / "code")] * 2
    assert all((work.folder / side / "mobileopt").is_dir() for side in SIDES)
    assert not (work.folder / "code").exists()


def test_an_artifact_that_is_not_inspected_is_named_with_what_was_said(work: Work):
    for side in SIDES:
        say(work.folder, side, made(work.folder, side, FLOAT, 10), refuses(INT8))
    with pytest.raises(MeasurementError, match=f"{FLOAT} was not inspected: torch is not here"):
        artifacts_compared.compare(work)
