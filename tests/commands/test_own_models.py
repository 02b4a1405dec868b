"""A user's own models on the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from own_nets import Net

from mobileopt.__main__ import main

NETS = (Path(__file__).parents[1] / "own_nets.py").read_text()
IMAGE = ["--input", "1,3,16,16"]
EAGER, SCRIPT = "unfused-float-nchw-eager", "unfused-float-nchw-torchscript"


@pytest.fixture
def project(tmp_path):
    """A folder that knows nothing of mobileopt, with a module of models in it."""
    (tmp_path / "mynets.py").write_text(NETS)
    (tmp_path / "bin").mkdir()
    return tmp_path


def run(project, *arguments):
    # As the installed command does, which does not put the current folder on the path itself.
    program = "import sys; from mobileopt.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-P", "-c", program, *arguments]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, cwd=project, env=env, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done


def test_compare_measures_a_model_of_the_current_folder(project):
    done = run(
        project, "compare", "mynets:Ranker", "--input", "1,16:int64:100", "--input", "1,16",
        "--variants", SCRIPT, "--launches", "1", "--rounds", "2", "--samples", "2", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["model"] == "mynets-Ranker"
    assert [each["recipe"] for each in found["variants"]] == [EAGER, SCRIPT]
    assert found["variants"][1]["weights"] == "factory:mynets:Ranker:seed:0"
    assert found["variants"][1]["fidelity"]["source"] == "synthetic:2000"


def test_a_model_that_prints_can_be_measured(project):
    done = run(
        project, "compare", "mynets:Talker", *IMAGE, "--variants", EAGER, "--launches", "1",
        "--rounds", "2", "--samples", "2", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["variants"]


def test_what_a_model_cannot_go_through_is_told_and_the_others_go_on(project):
    done = run(
        project, "export", "mynets:local", *IMAGE, "-o", "out", "--recipe", EAGER,
        "--recipe", SCRIPT,
    )  # fmt: skip
    assert done.returncode == 2
    assert "cannot be pickled" in done.stderr
    assert f"out/mynets-local/{SCRIPT}/model.pt" in done.stdout


def test_export_takes_weights_data_and_a_name(project):
    torch.save(Net(16).state_dict(), project / "trained.pt")
    (project / "images").mkdir()
    torch.save(torch.rand(4, 3, 16, 16), project / "images" / "one.pt")
    recipe = "unfused-int8_x86-nchw-torchscript"
    done = run(
        project, "export", "mynets:make", *IMAGE, "--weights", "trained.pt", "--calibration",
        "images", "--name", "small", "-o", "out", "--recipe", recipe,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads((project / "out" / "small" / recipe / "manifest.json").read_text())
    assert manifest["weights"].startswith("file:trained.pt:")
    assert manifest["calibration"].startswith("folder:images:1:")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["../etc"], "unknown model '../etc'"),
        (["$(touch x):make"], "is not a factory's name"),
        (["own_nets:nosuch", *IMAGE], "has no 'nosuch'"),
        (["own_nets:broken", *IMAGE], "own_nets:broken failed: ValueError: no"),
        (["own_nets:needy", *IMAGE], "needs arguments"),
        (["own_nets:nothing", *IMAGE], "a model is a torch.nn.Module"),
        (["own_nets:make"], "needs its inputs"),
        (["own_nets:make", "--input", "1,4,8,8"], "does not run on inputs of shape (1, 4, 8, 8)"),
        (["own_nets:make", "--input", "1x3"], "write it as 1,3,224,224"),
        (["own_nets:make", *IMAGE, "--name", "../up"], "is not a name of letters"),
        (["own_nets:make", *IMAGE, "--weights", "no.pt"], "there is no file of weights 'no.pt'"),
        (["own_nets:make", *IMAGE, "--calibration", "no"], "neither a folder nor a callable"),
        (["no.pt2"], "there is no file 'no.pt2'"),
        (["best.pt"], "add the architecture they belong to"),
    ],
)
def test_whatever_is_wrong_is_one_sentence_and_exit_code_2(
    arguments, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments, "--recipe", EAGER, "-o", "out"]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.strip().count("\n") == 0
    assert not list(tmp_path.iterdir())
