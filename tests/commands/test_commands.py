import json
import subprocess
import sys

import pytest
from interrupting import interrupted

from mobileopt.__main__ import COMMANDS, main
from mobileopt.artifact import Delegation
from mobileopt.capabilities import executorch
from mobileopt.commands.export import delegated


def run(*arguments, **options):
    command = [sys.executable, "-m", "mobileopt", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"mobileopt {command}" in capsys.readouterr().out


def test_export_writes_an_artifact_and_prints_where(tmp_path):
    done = run("export", "mlp", "--recipe", "fx-float-nchw-mobile", "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "SQNR" in done.stdout
    assert (tmp_path / "mlp/fx-float-nchw-mobile/manifest.json").exists()


def test_export_goes_on_after_a_recipe_the_model_cannot_have_and_exits_with_2(tmp_path):
    done = run(
        "export", "mlp", "-o", str(tmp_path), "--recipe", "fx-float-nhwc-mobile",
        "--recipe", "fx-float-nchw-mobile",
    )  # fmt: skip
    assert done.returncode == 2
    assert "NHWC needs a 4-D input" in done.stderr
    assert [path.name for path in (tmp_path / "mlp").iterdir()] == ["fx-float-nchw-mobile"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["export", "mlp", "--recipe", "fx-float-nhwc", "-o", "x"], "3 of the 4 words"),
        (["export", "mlp", "--recipe", "fx-int9-nchw-mobile", "-o", "x"], "unknown precision"),
        (["export", "mlp", "--recipe", "fx-float-nchw-tpu", "-o", "x"], "unknown backend 'tpu'"),
        (["compare", "resnet19"], "did you mean 'resnet18'"),
        (["compare", "../etc"], "unknown model '../etc'"),
    ],
)
def test_a_wrong_name_is_one_sentence_and_exit_code_2(arguments, sentence, capsys):
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1


@pytest.fixture(scope="module")
def compared():
    return run(
        "compare", "mlp", "--variants", "unfused-float-nchw-mobile", "--json", "--launches", "1",
        "--rounds", "3", "--samples", "2",
    )  # fmt: skip


def test_compare_measures_the_baseline_beside_what_was_named(compared):
    assert compared.returncode == 0, compared.stderr
    document = json.loads(compared.stdout)
    recipes = [each["recipe"] for each in document["variants"]]
    assert recipes == ["unfused-float-nchw-eager", "unfused-float-nchw-mobile"]
    assert len(document["launches"]) == 3
    assert all(len(rounds) == 3 for rounds in document["wall_seconds"].values())


def test_compare_says_it_cannot_tell_from_three_rounds(compared):
    variant = json.loads(compared.stdout)["variants"][1]
    assert variant["against_baseline"]["verdict"] == "unclear"


def test_compare_refuses_a_named_recipe_the_model_cannot_have(capsys):
    assert main(["compare", "mlp", "--variants", "fx-float-nhwc-mobile"]) == 2
    assert "NHWC needs a 4-D input" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--launches", "--rounds", "--samples", "--batch"])
def test_compare_refuses_a_count_that_is_none(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["compare", "mlp", option, "0"])
    assert ended.value.code == 2
    assert "0 is not a whole number of at least 1" in capsys.readouterr().err


def test_ctrl_c_in_a_session_prints_what_was_finished_and_exits_with_130():
    code, out, errors = interrupted(
        "compare", "mlp", "--json", "--rounds", "1000", "--variants", "unfused-float-nchw-mobile"
    )
    assert code == 130, errors
    document = json.loads(out)
    assert document["interrupted"]
    assert 0 < len(document["launches"]) < 4000


def test_export_says_what_was_delegated_and_names_what_was_not():
    told = delegated(Delegation(2, 205, {"aten.cumsum.default": 3}))
    assert told == (
        "XNNPACK runs 205 operators in 2 partitions; not delegated: aten.cumsum.default x3"
    )
    assert delegated(Delegation(1, 4, {})).endswith("not delegated: none")


@pytest.mark.skipif(executorch() is not None, reason=str(executorch()))
def test_export_tells_machines_what_was_delegated(tmp_path):
    done = run(
        "export", "annotated_conv_bn_relu", "--recipe", "unfused-float-nchw-executorch",
        "-o", str(tmp_path), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["delegation"]
    assert told == {"partitions": 1, "delegated": told["delegated"], "left": {}}
    assert told["delegated"] > 0
