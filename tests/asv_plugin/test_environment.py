"""The environment that reuses what is installed, under the real asv over a real repository."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from asv.environment import EnvironmentUnavailable

from mobileopt.asv_plugin import environment

BENCHMARK = """
def track_answer():
    import subprocess, sys
    program = "import mobileopt_sample; print(mobileopt_sample.ANSWER)"
    import mobileopt_sample
    elsewhere = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(elsewhere.stdout) == mobileopt_sample.ANSWER
    return mobileopt_sample.ANSWER

def track_threads():
    import os
    return int(os.environ["OMP_NUM_THREADS"])
"""
CONFIGURATION = {
    "version": 1,
    "project": "sample",
    "repo": ".",
    "branches": ["HEAD"],
    "plugins": [".mobileopt.asv_plugin"],
    "environment_type": "installed",
    "matrix": {"env_nobuild": {"OMP_NUM_THREADS": ["1"]}},
}


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def asv(folder, *arguments):
    env = os.environ | {"HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "asv", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q")
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "__init__.py").touch()
    (folder / "benchmarks" / "answer.py").write_text(BENCHMARK)
    (folder / "asv.conf.json").write_text(json.dumps(CONFIGURATION))
    for answer in (1, 2, 3):
        (folder / "mobileopt_sample.py").write_text(f"ANSWER = {answer}")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", f"Answer {answer}")
    asv(folder, "machine", "--yes", "--machine", "here")
    return folder


@pytest.fixture(scope="module")
def results(repository):
    done = asv(repository, "run", "ALL")
    assert done.returncode == 0, done.stdout + done.stderr
    files = (repository / "results" / "here").glob("*-*.json")
    return [json.loads(path.read_text()) for path in files]


def test_every_commit_is_measured_with_its_own_code(results):
    answers = [each["results"]["answer.track_answer"][0][0] for each in results]
    assert sorted(answers) == [1, 2, 3]


def test_the_conditions_hold_in_the_measured_process_and_are_recorded(results):
    assert all(each["results"]["answer.track_threads"][0][0] == 1 for each in results)
    assert all(each["env_vars"]["OMP_NUM_THREADS"] == "1" for each in results)


def test_the_versions_of_what_is_measured_are_part_of_the_result(results):
    for each in results:
        assert each["params"]["torch"] == metadata.version("torch")
        assert each["params"]["torchvision"] == metadata.version("torchvision")


def test_nothing_is_installed_a_commit(repository, results):
    folder = next((repository / "env").iterdir())
    assert not (folder / "bin").exists()
    assert (folder / "project" / "mobileopt_sample.py").exists()


def test_a_requirement_the_installed_version_meets_is_taken():
    torch = metadata.version("torch")
    assert environment.pin({"torch": torch})["torch"] == torch


def test_a_requirement_of_another_version_names_both():
    with pytest.raises(EnvironmentUnavailable, match=r"torch 1\.9 is wanted and .* is installed"):
        environment.pin({"torch": "1.9"})


def test_a_requirement_that_is_not_installed_is_named():
    with pytest.raises(EnvironmentUnavailable, match="no_such_thing is not installed"):
        environment.pin({"no_such_thing": ""})


def test_a_project_is_imported_from_its_own_folder_unless_it_lists_others():
    assert environment.import_paths(SimpleNamespace()) == ["."]
    assert environment.import_paths(SimpleNamespace(import_paths=["src", "lib"])) == ["src", "lib"]


@pytest.mark.parametrize("paths", ["src", [1], ["/etc"], ["../up"], ["a/../../b"], ["a:b"]])
def test_an_import_path_outside_of_the_project_is_refused(paths):
    with pytest.raises(EnvironmentUnavailable, match="import_paths"):
        environment.import_paths(SimpleNamespace(import_paths=paths))
