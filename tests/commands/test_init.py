import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mobileopt.__main__ import main

ROOT = Path(__file__).parents[2]
NET = """
from torch import nn


def make():
    width = 8
    return nn.Sequential(
        nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5),
    )
"""
MODEL = ["--model", "strangers_net:make", "--input", "1,3,16,16"]
EAGER, SCRIPT = "unfused-float-nchw-eager", "fused-float-nchw-torchscript"


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, subject: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", subject)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m <arguments>` in a folder, with mobileopt importable as if it were installed."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def repository(tmp_path):
    """A stranger's: a module in src/, no pyproject, nothing of mobileopt."""
    folder = tmp_path / "stranger"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "README").write_text("nets")
    commit(folder, "Begin")
    (folder / "src" / "strangers_net.py").write_text(NET)
    commit(folder, "A net")
    return folder


@pytest.fixture
def inside(repository, monkeypatch):
    monkeypatch.chdir(repository)
    monkeypatch.syspath_prepend(repository / "src")
    yield repository
    sys.modules.pop("strangers_net", None)


def untracked(folder: Path) -> list[str]:
    done = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], cwd=folder, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    return sorted(line[3:] for line in done.stdout.splitlines() if "__pycache__" not in line)


def test_the_files_are_written_with_the_models_import_path(inside, capsys):
    assert main(["init", *MODEL]) == 0
    assert untracked(inside) == [
        "asv.conf.json", "benchmarks/__init__.py", "benchmarks/_suite.py", "benchmarks/fidelity.py",
        "benchmarks/latency.py", "benchmarks/memory.py", "benchmarks/size.py",
    ]  # fmt: skip
    assert '"import_paths": ["src"]' in (inside / "asv.conf.json").read_text()
    assert "asv run HEAD^!" in capsys.readouterr().out


def test_options_belong_to_the_model_before_them(inside):
    second = ["--model", "strangers_net:make", "--name", "wide", "--input", "2,3,8,8"]
    assert main(["init", *MODEL, *second, "--recipe", SCRIPT, "--json"]) == 0
    names = {}
    exec((inside / "benchmarks" / "_suite.py").read_text(), names)
    assert [(m.name, m.inputs) for m in names["MODELS"]] == [
        ("strangers_net-make", ["1,3,16,16"]),
        ("wide", ["2,3,8,8"]),
    ]
    assert names["RECIPES"] == [EAGER, SCRIPT]


def test_a_dry_run_shows_the_files_and_writes_nothing(inside, capsys):
    assert main(["init", *MODEL, "--dry-run"]) == 0
    assert 'make="strangers_net:make"' in capsys.readouterr().out
    assert untracked(inside) == []


def test_running_it_again_changes_nothing_without_force(inside, capsys):
    assert main(["init", *MODEL]) == 0
    before = (inside / "asv.conf.json").read_text()
    assert main(["init", *MODEL, "--project", "other"]) == 2
    assert "--force replaces" in capsys.readouterr().err
    assert (inside / "asv.conf.json").read_text() == before
    assert main(["init", *MODEL, "--project", "other", "--force"]) == 0
    assert '"project": "other"' in (inside / "asv.conf.json").read_text()


def test_a_model_that_is_not_committed_is_warned_of(inside, capsys):
    (inside / "src" / "strangers_net.py").write_text(NET + "# later\n")
    assert main(["init", *MODEL]) == 0
    assert "strangers_net.py is not committed as it is now" in capsys.readouterr().err


def test_a_model_from_elsewhere_is_warned_of(inside, capsys):
    other = ["--model", "torchvision.models:squeezenet1_1", "--input", "1,3,64,64"]
    assert main(["init", *other, "--dry-run"]) == 0
    assert "commits here will not change it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "strangers_net:nosuch", "--input", "1,3,8,8"], "has no 'nosuch'"),
        (["--model", "strangers_net:make", "--input", "1,4,8,8"], "does not run on inputs"),
        (["--model", "strangers_net:make"], "needs its inputs"),
        ([*MODEL, "--recipe", "fx-float"], "2 of the 4 words"),
        ([*MODEL, *MODEL], "stands in the suite twice"),
        ([*MODEL, "--name", "../../up"], "is not a name"),
    ],
)
def test_what_would_not_run_is_not_written(arguments, sentence, inside, capsys):
    assert main(["init", *arguments]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.strip().count("\n") == 0
    assert untracked(inside) == []


def test_an_option_before_its_model_is_an_error_of_usage(inside, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["init", "--input", "1,3", *MODEL])
    assert ended.value.code == 2
    assert "say --model before it" in capsys.readouterr().err


def test_a_folder_without_git_or_without_a_commit_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["init", *MODEL]) == 2
    assert "is in no git repository" in capsys.readouterr().err
    git(tmp_path, "init", "-q")
    assert main(["init", *MODEL]) == 2
    assert "has no commit yet" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [".git"]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["", "ml"])
def test_a_strangers_commits_are_measured_with_their_own_code_and_published(repository, place):
    folder = repository / place
    if place:
        git(repository, "mv", "src", "moved")
        folder.mkdir()
        git(repository, "mv", "moved", "ml/src")
        commit(repository, "Into a folder")
    path = folder / "src" / "strangers_net.py"
    env_of_init = f"{folder / 'src'}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, "-m", "mobileopt", "init", *MODEL, "--recipe", SCRIPT],
        cwd=folder, env=os.environ | {"PYTHONPATH": env_of_init}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    commit(repository, "Benchmarks")
    path.write_text(NET.replace("width = 8", "width = 64"))
    commit(repository, "Wider")
    assert run(folder, "asv", "machine", "--yes", "--machine", "here").returncode == 0
    ran = run(folder, "asv", "run", "ALL", "--bench", "size|fidelity")
    assert ran.returncode == 0, ran.stdout + ran.stderr

    sizes = _history(folder, "size.track_artifact")
    before, after = sizes["Benchmarks"], sizes["Wider"]
    assert all(later > 1.5 * earlier for earlier, later in zip(before, after, strict=True))
    assert all(math.isnan(size) for size in sizes["Begin"])  # n/a

    published = run(folder, "asv", "publish")
    assert published.returncode == 0, published.stdout + published.stderr
    page = json.loads((folder / ".asv" / "html" / "mobileopt" / "variants.json").read_text())
    (model,) = page["environments"][0]["models"]
    assert model["model"] == "strangers_net-make"
    assert {row["recipe"]: row["cells"]["size"]["value"] for row in model["rows"]} == dict(
        zip([EAGER, SCRIPT], after, strict=True)
    )


def _history(folder: Path, name: str) -> dict[str, list[float]]:
    """The results of a benchmark by the subjects of their commits, oldest first."""
    log = subprocess.run(
        ["git", "log", "--reverse", "--format=%H %s"], cwd=folder, check=True, capture_output=True,
        text=True,
    ).stdout  # fmt: skip
    subjects = dict(line.split(" ", 1) for line in log.splitlines())
    found = {}
    for path in (folder / "results" / "here").glob("*-*.json"):
        stored = json.loads(path.read_text())
        found[subjects[stored["commit_hash"]]] = stored["results"][name][0]
    return {subject: found[subject] for subject in subjects.values() if subject in found}
