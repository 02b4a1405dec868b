from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import site_store
from asv.plugins.git import Git

from mobileopt.errors import InputError, StoreError
from mobileopt.publishing import publication
from mobileopt.publishing.publication import Publication

MODELS = {"resnet18": 0.0713}
LATENCY = "latency.time_forward"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> site_store.Project:
    """Two machines, of which the first alone has the parameter `os_build`."""
    folder = tmp_path_factory.mktemp("publication") / "lab"
    return site_store.build(folder, models=MODELS, extra="os_build", commits=4)


@pytest.fixture
def results(project: site_store.Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the store to do harm to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return shutil.copytree(project.folder / "results", tmp_path / "results")


def load(project: site_store.Project, results: Path, **more: Any) -> Publication:
    conf = SimpleNamespace(results_dir=str(results), branches=["main"], repo=str(project.folder))
    listed = json.loads((project.folder / "results" / "benchmarks.json").read_text())
    del listed["version"]
    return publication.load(conf, Git(str(project.folder), ""), listed, **more)


def test_a_store_that_is_not_there_is_named(project: site_store.Project, tmp_path: Path):
    with pytest.raises(StoreError, match="nowhere is not a folder of results"):
        load(project, tmp_path / "nowhere")


def test_a_repository_that_is_not_gits_is_refused(results: Path):
    conf = SimpleNamespace(results_dir=str(results), branches=["main"], repo="hg+ssh://lab")
    with pytest.raises(InputError, match=r"needs a git repository; hg\+ssh://lab is none"):
        publication.load(conf, object(), {})


def test_what_a_result_lacks_is_none_and_stands_last(project: site_store.Project, results: Path):
    found = load(project, results)
    assert found.settings["os_build"] == ["1", None]
    assert found.settings["env-OMP_NUM_THREADS"] == ["1"]
    assert {each.params["machine"]: each.params["os_build"] for each in found.graphs} == {
        "bench-01": "1",
        "pixel-4a": None,
    }


def test_only_chosen_commits_are_published_and_tags_keep_their_places(
    project: site_store.Project, results: Path
):
    found = load(project, results, only={project.commits[2]})
    assert {tuple(each.revisions.tolist()) for each in found.graphs} == {(2,)}
    tagged = project.commits[-4]
    assert found.revisions == {tagged: 0, project.commits[2]: 2}
    assert found.hashes == {0: tagged, 2: project.commits[2]}


def test_a_benchmarks_graphs_are_a_group_and_the_first_branch_is_the_pages(
    project: site_store.Project, results: Path
):
    found = load(project, results)
    assert [each.params["machine"] for each in found.group(LATENCY)] == ["bench-01", "pixel-4a"]
    assert found.group("no.such") == []
    assert found.branch == "main"
    assert found.messages == []


@pytest.mark.parametrize("content", ['{"machine": 3}', "{}", "[]", "\x00"])
def test_a_machine_without_a_name_costs_its_folder_and_no_more(
    project: site_store.Project, results: Path, content: str
):
    (results / "machine-0" / "machine.json").write_text(content)
    found = load(project, results)
    assert [each.params["machine"] for each in found.group(LATENCY)] == ["pixel-4a"]
    assert list(found.machines) == ["pixel-4a"]
    assert any(each.startswith(f"{results / 'machine-0'} was skipped: ") for each in found.messages)


@pytest.mark.parametrize("changed", [{"params": {"os": ["Linux"]}}, {"env_vars": {"os": {}}}])
def test_a_result_whose_settings_are_none_costs_itself_and_is_named(
    project: site_store.Project, results: Path, changed: dict[str, Any]
):
    (path,) = (results / "machine-0").glob(f"{project.commits[1][:8]}-*.json")
    document = json.loads(path.read_text())
    (name,) = changed
    path.write_text(json.dumps(document | {name: document[name] | changed[name]}))
    found = load(project, results)
    assert found.group(LATENCY)[0].revisions.tolist() == [0, 2, 3]
    (message,) = found.messages
    assert f"{path.name} was skipped: its " in message
    assert "os is neither a text nor a number" in message


def test_doubts_are_told_by_the_path_of_their_result_file(
    project: site_store.Project, results: Path
):
    (path,) = (results / "machine-0").glob(f"{project.commits[1][:8]}-*.json")
    record = {"kind": "run", "benchmark": LATENCY, "version": "1", "combination": ["'m'"]}
    record |= {"started_at": 1, "context": {"validity": {"verdict": "suspect", "reasons": []}}}
    path.with_suffix(".jsonl").write_text(json.dumps(record) + "\n")
    assert list(load(project, results).doubts) == [f"machine-0/{path.name}"]
