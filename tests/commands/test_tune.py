import argparse
import json
import subprocess
import sys

import pytest
from interrupting import interrupted

from mobileopt import recipes
from mobileopt.__main__ import main
from mobileopt.commands import tune
from mobileopt.errors import MeasurementError
from mobileopt.exporter import Exported, Order
from mobileopt.tuning import recording

SMALL = ("--precision", "float", "--layout", "nchw", "--fusion", "unfused",
         "--launches", "2", "--samples", "2")  # fmt: skip


def run(*arguments, **options):
    command = [sys.executable, "-m", "mobileopt", "tune", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    session = tmp_path_factory.mktemp("tune") / "session.json"
    done = run("mlp", *SMALL, "--backend", "eager", "torchscript", "--json", "--exhaustive",
               "--save-session", str(session))  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), recording.read(session)


def test_tune_names_a_variant_among_those_asked_for(found):
    document, _ = found
    asked = {"unfused-float-nchw-eager", "unfused-float-nchw-torchscript"}
    assert {each["recipe"] for each in document["variants"]} == asked
    assert document["best"] in asked
    assert document["sentence"].startswith(f"Best here: mlp/{document['best']}")


def test_the_saved_session_holds_every_sample_of_the_search(found):
    document, session = found
    assert len(session.heats) == document["launches"] == 2
    assert session.seconds == pytest.approx(document["measuring_seconds"], rel=1e-3)
    assert session.machine["processor"]


def test_what_was_exported_before_is_raced_as_it_lies_there(tmp_path):
    recipe = "unfused-float-nchw-torchscript"
    assert main(["export", "mlp", "--recipe", recipe, "-o", str(tmp_path)]) == 0
    done = run("mlp", *SMALL, "--artifacts", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [each["recipe"] for each in document["variants"]] == [recipe]
    assert document["end"] == "one left"


def test_a_folder_without_artifacts_is_refused(tmp_path, capsys):
    assert main(["tune", "mlp", "--artifacts", str(tmp_path)]) == 2
    assert "holds no exported variant" in capsys.readouterr().err


def test_a_recipe_whose_export_takes_the_process_down_costs_no_other(monkeypatch, tmp_path):
    deadly, *others = recipes.all_recipes()[:5]

    def export(order, on_each):
        if deadly in order.recipes:
            raise MeasurementError("the export ended early: Aborted")
        return Exported(tuple(order.recipes), {})

    monkeypatch.setattr(tune.exporter, "export", export)
    found = tune._export(Order("mlp", [deadly, *others], tmp_path), lambda: None)
    assert list(found.made) == others
    assert found.refused == {str(deadly): "the export ended early: Aborted"}


def test_a_budget_too_small_for_one_round_is_told_with_exit_code_2():
    done = run("mlp", *SMALL, "--backend", "torchscript", "--budget", "1e-9")
    assert done.returncode == 2
    assert "no candidate finished a round" in done.stderr


def test_when_nothing_keeps_the_limits_the_exit_code_is_1_and_nothing_is_measured():
    done = run("mlp", *SMALL, "--backend", "torchscript", "--max-size", "1kB")
    assert done.returncode == 1, done.stderr
    assert "unfused-float-nchw-torchscript comes closest" in done.stdout


def test_what_the_model_cannot_have_is_listed_with_its_reason():
    done = run("mlp", "--precision", "float", "--layout", "nhwc", "--backend", "mobile", "--fusion",
               "fx")  # fmt: skip
    assert done.returncode == 1
    assert "not exported: fx-float-nhwc-mobile" in done.stdout
    assert "NHWC needs a 4-D input" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["resnet19"], "did you mean 'resnet18'"),
        (["mlp", "--backend", "tpu"], "unknown backend 'tpu'"),
        (["mlp", "--threshold", "0"], "threshold 0 is not between 0 and 1"),
        (["mlp", "--together", "1"], "together 1 is not at least 2"),
        (["mlp", "--budget", "0"], "budget 0 is not a number of seconds above 0"),
        (["mlp", "--budget", "nan"], "budget nan is not a number of seconds above 0"),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_exit_code_2(arguments, sentence, capsys):
    assert main(["tune", *arguments]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "size"),
    [("10MB", 1e7), ("10 mb", 1e7), ("500k", 5e5), ("1.5GB", 1.5e9), ("12", 12), ("12B", 12)],
)
def test_a_size_is_read_in_decimal_units(text, size):
    assert tune._size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1TB", "1 e3", "nan", "10MiB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a size such as 10MB"):
        tune._size(text)


def test_ctrl_c_while_measuring_prints_what_is_known_and_exits_with_130(tmp_path):
    code, out, errors = interrupted(
        "tune", "mlp", *SMALL[:6], "--json", "--rounds", "1000", "--backend", "eager",
        "torchscript", "--save-session", str(tmp_path / "session.json"),
    )  # fmt: skip
    assert code == 130, errors
    assert json.loads(out)["end"] == "interrupted"
    assert recording.read(tmp_path / "session.json").seconds > 0
