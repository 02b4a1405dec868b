import os

import pytest
from measured_repository import commit, git, repository

from mobileopt import commits
from mobileopt.errors import InputError, OutputError


@pytest.fixture
def code(tmp_path):
    repository(tmp_path / "code", 3)
    return tmp_path / "code"


def test_a_name_is_resolved_to_the_full_hash(code):
    assert commits.resolve(code, "HEAD") == git(code, "rev-parse", "HEAD")
    assert commits.resolve(code, "main~1") == git(code, "rev-parse", "HEAD~1")


@pytest.mark.parametrize("name", ["nonesuch", "--help", "-n1", "HEAD^{tree}", ""])
def test_a_name_that_is_no_commit_is_refused_in_one_sentence(code, name):
    with pytest.raises(InputError, match="no commit of the repository"):
        commits.resolve(code, name)


def test_a_folder_that_is_no_repository_is_said_to_be_none(tmp_path):
    with pytest.raises(InputError, match="no git repository"):
        commits.resolve(tmp_path, "HEAD")


def test_the_main_branch_is_found_by_any_of_its_names(code):
    assert commits.main_branch(code) == "main"
    git(code, "branch", "-m", "master")
    assert commits.main_branch(code) == "master"
    git(code, "branch", "-m", "trunk")
    with pytest.raises(InputError, match="--base"):
        commits.main_branch(code)


def test_the_merge_base_is_where_a_branch_left(code):
    left = commits.resolve(code, "HEAD")
    git(code, "checkout", "-q", "-b", "work")
    commit(code, "on the branch", 3)
    git(code, "checkout", "-q", "main")
    commit(code, "on main", 4)
    assert commits.merge_base(code, "main", "work") == left


def test_histories_without_a_common_commit_have_no_merge_base(code):
    git(code, "checkout", "-q", "--orphan", "other")
    commit(code, "another root", 3)
    with pytest.raises(InputError, match="no commit in common"):
        commits.merge_base(code, "main", "other")


def test_the_first_parent_is_the_commit_before_and_the_first_commit_has_none(code):
    every = git(code, "rev-list", "--reverse", "HEAD").split()
    assert commits.first_parent(code, "HEAD") == every[1]
    with pytest.raises(InputError, match="the first commit there is"):
        commits.first_parent(code, every[0])


def test_a_shallow_clone_is_told_to_fetch_the_rest(code, tmp_path):
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{code}", "shallow")
    with pytest.raises(InputError, match="fetch all of its history"):
        commits.first_parent(tmp_path / "shallow", "HEAD")


def test_commits_between_two_are_those_the_second_brought(code):
    every = git(code, "rev-list", "--reverse", "HEAD").split()
    assert commits.order(code) == tuple(every)
    assert commits.between(code, every[0], "HEAD") == tuple(every[1:])


def test_what_git_knows_of_commits_leaves_out_those_it_does_not_have(code):
    head = commits.resolve(code, "HEAD")
    found = commits.describe(code, [head, "f" * 40])
    assert list(found) == [head]
    assert (found[head].subject, found[head].author) == ("work 2", "Ada")
    assert found[head].date.isoformat() == "2026-01-03T00:00:00+00:00"


def test_a_checkout_holds_that_commit_and_leaves_nothing_behind(code, tmp_path):
    first = commits.resolve(code, "HEAD~2")
    with commits.checkout(code, first, tmp_path / "old") as folder:
        assert git(folder, "rev-parse", "HEAD") == first
    assert not folder.exists()
    assert len(git(code, "worktree", "list").splitlines()) == 1


def test_a_checkout_runs_no_hook(code, tmp_path):
    hook = code / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    hook.chmod(0o755)
    with commits.checkout(code, "HEAD", tmp_path / "new"):
        pass
    assert not (tmp_path / "ran").exists()


def test_a_folder_in_the_way_of_a_checkout_is_one_sentence(code, tmp_path):
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(OutputError, match="cannot check out"),
        commits.checkout(code, "HEAD", tmp_path / "taken"),
    ):
        pass


def test_changes_are_seen_and_new_files_are_not(code):
    assert not commits.uncommitted(code)
    (code / "new").write_text("")
    assert not commits.uncommitted(code)
    (code / "work.txt").write_text("changed")
    assert commits.uncommitted(code)


def test_the_variables_of_a_hook_lead_nowhere_else(code, tmp_path, monkeypatch):
    repository(tmp_path / "other", 1)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    found = commits.order(code)
    monkeypatch.delenv("GIT_DIR")
    assert found == tuple(git(code, "rev-list", "--reverse", "HEAD").split())
    assert os.environ.get("GIT_DIR") is None


def test_what_is_no_text_comes_as_it_is(code):
    git(code, "config", "user.name", "Ada")
    (code / "work.txt").write_bytes(b"\xff\r\n")
    git(code, "add", "-A")
    commit(code, "binary", 3)
    assert commits.git_bytes(code, "show", "HEAD:work.txt").stdout == b"\xff\r\n"
    assert commits.git(code, "show", "HEAD:work.txt").stdout == "\ufffd\r\n"


def test_a_file_is_told_as_of_a_commit_whatever_is_checked_out(code):
    (code / "work.txt").write_bytes(b"\xff\r\n")
    git(code, "add", "-A")
    commit(code, "binary", 3)
    (code / "work.txt").unlink()
    assert commits.content(code, "main", "work.txt") == b"\xff\r\n"
    assert commits.content(code, "main", "none.txt") is None
    with pytest.raises(InputError, match="'other' is no commit"):
        commits.content(code, "other", "work.txt")
