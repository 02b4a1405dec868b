from __future__ import annotations

import json
from pathlib import Path

import pytest

from mobileopt.errors import InputError
from tools import fusion_coverage
from tools._fusion_case import EXACT, count_norms, outline


def row(**changes: object) -> dict[str, object]:
    """A row as the child process prints it."""
    usual: dict[str, object] = {
        "model": "resnet18",
        "parameters": 11689512,
        "norms": 20,
        "folded": 20,
        "left": {},
        "seconds": 1.63,
        "class": "GraphModule",
        "error_float32": 5.39e-06,
        "groups": 20,
        "groups_left": 8,
        "limit": EXACT,
        "error": 1.18e-14,
        "torch": {"verdict": "right", "folded": 20, "error": 1.2e-14},
    }
    return usual | changes


def test_models_are_chosen_by_name_and_by_pattern_in_the_order_of_torchvision():
    names = fusion_coverage.select(["resnet18", "mobilenet_v*", "resnet1*"])
    assert names[:3] == ["mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"]
    assert names[3:] == ["resnet101", "resnet152", "resnet18"]


def test_a_pattern_that_matches_no_model_is_an_input_error():
    with pytest.raises(InputError, match="matches 'resnet17'"):
        fusion_coverage.select(["resnet17"])


def test_a_wrong_pattern_ends_the_command_with_one_sentence_and_code_two(capsys):
    assert fusion_coverage.main(["--models", "resnet17"]) == 2
    assert capsys.readouterr().err == "error: no model of torchvision matches 'resnet17'\n"


def test_models_are_outlined_without_their_weights_or_else_built():
    assert count_norms(outline("regnet_x_400mf")) == 71
    assert count_norms(outline("resnet18")) == 20
    assert count_norms(outline("vit_h_14")) == 0


def test_a_model_that_takes_too_long_is_reported_not_waited_for():
    assert fusion_coverage.measure("resnet18", 0.01) == {"reason": "took more than 0 s"}


@pytest.mark.slow
def test_a_model_that_fails_is_reported_with_the_last_line_of_its_error():
    reason = fusion_coverage.measure("no_such_model", 300)["reason"]
    assert reason.startswith("failed: ValueError: Unknown model")


def test_a_fold_beyond_the_limit_or_without_comparison_is_wrong():
    assert not fusion_coverage.is_wrong(row())
    assert fusion_coverage.is_wrong(row(error=1e-3))
    assert fusion_coverage.is_wrong(row(error=None))
    assert not fusion_coverage.is_wrong({"model": "vit_b_16", "norms": 0})


def test_the_report_adds_up_and_names_what_is_wrong_and_what_did_not_run():
    crash = {"verdict": "crash", "folded": 0, "why": "Proxy object cannot be iterated"}
    rows = [
        row(),
        row(model="bad", error=0.5, folded=18, left={"it is not called": 2}),
        row(model="ssd", torch=crash, error_float32=None),
        row(model="s3d", folded=3, left={"a cat": 17}),
        {"model": "huge", "norms": 4, "reason": "took more than 600 s"},
        {"model": "vit_b_16", "norms": 0},
    ]
    text = fusion_coverage.markdown(rows)
    assert "Of 6 models 4 ran. The pass folds **61 of their 80 batch normalisations**" in text
    assert "1 models are wrong (bad)" in text
    assert "crashes on 1; it folds more on 2 (bad, s3d)" in text
    assert "| resnet18 | 20 | 20 | 0 | 1e-14 | 5e-06 | 1.6 | 20, right | 20 |" in text
    assert "| ssd | 20 | 20 | 0 | 1e-14 | - | 1.6 | crash | 20 |" in text
    assert "- 17: a cat\n- 2: it is not called" in text
    assert "- huge: took more than 600 s" in text
    assert "1 models have no batch normalisation: vit_b_16." in text


@pytest.mark.slow
def test_a_real_model_is_folded_and_the_report_written_whole(tmp_path: Path):
    path = tmp_path / "coverage.json"
    arguments = ["--models", "shufflenet_v2_x0_5", "alexnet", "--json", "--output", str(path)]
    assert fusion_coverage.main(arguments) == 0
    empty, found = json.loads(path.read_text())
    assert empty == {"model": "alexnet", "norms": 0}
    assert found["folded"] == found["norms"] == 56
    assert found["error"] < 1e-11
    assert found["torch"]["verdict"] == "right"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path, capsys):
    path = tmp_path / "missing" / "coverage.md"
    assert fusion_coverage.main(["--models", "alexnet", "--output", str(path)]) == 2
    assert f"{path} cannot be written: No such file" in capsys.readouterr().err


def test_what_an_earlier_report_measured_is_not_measured_again(tmp_path: Path, capsys):
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps([row(), {"model": "vgg11_bn", "norms": 8, "reason": "slow"}]))
    assert set(fusion_coverage.resumed(path)) == {"resnet18"}
    assert fusion_coverage.main(["--models", "resnet18", "--resume", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [row()]


def test_a_report_that_is_none_is_an_input_error(tmp_path: Path):
    path = tmp_path / "coverage.json"
    path.write_text("{")
    with pytest.raises(InputError, match="cannot be read as a --json report"):
        fusion_coverage.resumed(path)
