from __future__ import annotations

from pathlib import Path

import pytest
import site_store
from asv.plugins.git import Git

from mobileopt.errors import StoreError
from mobileopt.publishing import commits


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> site_store.Project:
    project = site_store.build(tmp_path_factory.mktemp("commits") / "lab", machines=())
    folder = project.folder
    site_store.git(folder, "tag", "-a", "-m", "annotated", "v0.2", "HEAD~1")
    site_store.git(folder, "tag", "tree", "HEAD^{tree}")
    site_store.git(folder, "checkout", "-q", "-b", "side", "HEAD~4")
    site_store.git(folder, "commit", "-q", "--allow-empty", "-m", "aside")
    site_store.git(folder, "checkout", "-q", "main")
    return project


def test_a_hook_of_another_repository_does_not_mislead_it(
    project: site_store.Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = commits.read(project.folder, ["main"])
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert commits.read(project.folder, ["main"]) == expected


def test_commits_are_numbered_as_asv_numbers_them(project: site_store.Project):
    found = commits.read(project.folder, ["main"])
    asv = Git(str(project.folder), "")
    assert len(found.numbers) == 7
    assert found.numbers == asv.get_revisions(set(found.numbers))


def test_dates_are_asvs(project: site_store.Project):
    found = commits.read(project.folder, ["main"])
    asv = Git(str(project.folder), "")
    assert {each: asv.get_date(each) for each in found.dates} == found.dates


def test_a_tag_leads_to_its_commit_and_what_is_no_commit_has_no_place(project: site_store.Project):
    found = commits.read(project.folder, ["main"])
    assert found.tags == {"v0.1": project.commits[-4], "v0.2": project.commits[-2]}


def test_a_commit_stands_on_its_branches_and_a_tagged_one_on_all(project: site_store.Project):
    found = commits.read(project.folder, ["main", "side"])
    branches = found.branches_by_commit()
    assert branches[project.commits[0]] == ["main", "side"]
    assert branches[project.commits[-1]] == ["main"]
    only = commits.read(project.folder, ["side"]).branches_by_commit()
    assert only[project.commits[-2]] == ["side"]
    assert project.commits[-1] not in only


def test_between_gives_the_commits_after_the_older_one(project: site_store.Project):
    found = commits.read(project.folder, ["main"])
    oldest, *rest = project.commits
    assert found.between("main", oldest, rest[-1]) == rest[::-1]
    assert found.between("main", "f" * 40, rest[-1]) is None


def test_a_folder_that_is_no_repository_is_named(tmp_path: Path):
    with pytest.raises(StoreError, match="git cannot read"):
        commits.read(tmp_path, ["main"])


def test_a_branch_that_does_not_exist_is_named(project: site_store.Project):
    with pytest.raises(StoreError, match="no-such"):
        commits.read(project.folder, ["no-such"])
