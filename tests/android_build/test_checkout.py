from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.android_build import checkout as sources
from mobileopt.android_build.checkout import check_tag, describe, folder_of
from mobileopt.errors import BuildError, InputError

from .upstream import git


def look(path: Path, *defines: str) -> sources.Checkout:
    return describe(path, defines, os.environ)


def test_a_checkout_is_read(checkout):
    found = look(checkout)
    assert found.problem is None
    assert found.commit == git(checkout, "rev-parse", "HEAD").strip()
    assert found.tag == "v2.8.0"
    assert found.last_tag == "v2.8.0"
    assert "BUILD_ROOT" in (found.script or "")
    assert found.cmake_minimum == (3, 18)
    assert found.lite
    assert found.benchmark
    assert (found.modified, found.missing_submodules, found.moved_submodules) == ((), (), ())


def test_a_checkout_between_tags_is_named_by_its_commit(checkout):
    git(checkout, "commit", "--quiet", "--allow-empty", "-m", "mine")
    found = look(checkout)
    assert found.tag is None
    assert found.name == found.commit[:12]


def test_the_last_tag_with_the_script_is_found_from_a_checkout_that_lacks_it(checkout):
    git(checkout, "checkout", "--quiet", "v2.9.0")
    git(checkout, "tag", "v2.10.0")
    found = look(checkout)
    assert found.script is None
    assert found.last_tag == "v2.8.0"


def test_a_checkout_without_tags_names_no_last_one(checkout):
    git(checkout, "tag", "--delete", *git(checkout, "tag").split())
    assert look(checkout).last_tag is None


def test_submodules_that_are_not_there_or_moved_are_seen(checkout):
    submodule = checkout / "third_party/XNNPACK"
    git(submodule, "commit", "--quiet", "--allow-empty", "-m", "mine")
    assert look(checkout).moved_submodules == ("third_party/XNNPACK",)
    git(checkout, "submodule", "deinit", "--force", "--quiet", "--all")
    assert look(checkout).missing_submodules == ("third_party/XNNPACK",)


def test_what_a_build_leaves_behind_is_no_modification(checkout):
    (checkout / "generated.cpp").write_text("")
    (checkout / "third_party/XNNPACK/generated.c").write_text("")
    assert look(checkout).modified == ()


def test_changed_files_are_modifications_in_submodules_too(checkout):
    (checkout / "CMakeLists.txt").write_text("")
    (checkout / "third_party/XNNPACK/CMakeLists.txt").write_text("")
    assert set(look(checkout).modified) == {"CMakeLists.txt", "third_party/XNNPACK"}


def test_only_the_features_the_checkout_compiles_for_count(checkout):
    assert look(checkout).features == {"i8mm"}  # it turns bf16 off itself
    assert look(checkout, "XNNPACK_ENABLE_ARM_I8MM=OFF").features == frozenset()


def test_a_folder_that_is_no_checkout_says_why(checkout, tmp_path):
    assert "is not a folder" in (look(tmp_path / "nowhere").problem or "")
    assert "is not a git checkout" in (look(tmp_path).problem or "")
    assert "lies inside the checkout" in (look(checkout / "cmake").problem or "")
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "--quiet")
    assert "without a commit" in (look(tmp_path / "new").problem or "")


def test_without_git_a_folder_is_no_checkout(checkout):
    assert "git cannot be run" in (describe(checkout, (), {"PATH": "/nowhere"}).problem or "")


def test_a_variable_that_misleads_git_is_not_passed_on(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert look(checkout).problem is None


def test_a_checkout_git_cannot_judge_counts_as_modified(checkout):
    (checkout / ".git/index").write_bytes(b"garbage")
    assert look(checkout).modified == ("(git status failed)",)


@pytest.mark.parametrize("repository", ["", "--upload-pack=x", "a\nb"])
def test_a_hostile_repository_is_refused(repository, tmp_path):
    with pytest.raises(InputError, match="neither an address nor a folder"):
        fetch("v2.8.0", tmp_path / "into", repository, tmp_path)


def test_a_repository_that_runs_a_command_is_refused_by_git(tmp_path):
    with pytest.raises(BuildError, match="not allowed"):
        fetch("v2.8.0", tmp_path / "into", "ext::sh -c touch% pwned", tmp_path)


def test_a_clone_that_fails_leaves_nothing_and_one_that_was_killed_is_removed(upstream, tmp_path):
    stale = tmp_path / "sources/.part-v2.8.0-12345678"
    stale.mkdir(parents=True)
    with pytest.raises(BuildError, match=r"fetching tag v0\.1"):
        fetch("v0.1", tmp_path / "sources/v2.8.0", upstream.as_uri(), tmp_path)
    assert list((tmp_path / "sources").iterdir()) == []


def test_a_clone_whose_submodule_is_gone_leaves_nothing(upstream, tmp_path):
    moved = tmp_path / "up/pytorch"
    shutil.copytree(upstream, moved)
    git(moved, "config", "--file", ".gitmodules", "submodule.third_party/XNNPACK.url", "/gone")
    git(moved, "add", "--all")
    (moved / "scripts").mkdir()
    (moved / "scripts/build_android.sh").write_text("")
    git(moved, "add", "--all")
    git(moved, "commit", "--quiet", "-m", "broken")
    git(moved, "tag", "v3.0.0")
    (tmp_path / "sources").mkdir()
    with pytest.raises(BuildError, match=r"fetching the submodules of v3\.0\.0 failed"):
        fetch("v3.0.0", tmp_path / "sources/v3.0.0", moved.as_uri(), tmp_path)
    assert list((tmp_path / "sources").iterdir()) == []


def fetch(tag: str, into: Path, repository: str, logs: Path) -> None:
    log = logs / "log"
    quiet = {"environ": os.environ, "log": log, "on_line": lambda _: None}
    sources.clone(tag, into, repository=repository, **quiet)


@given(st.text(max_size=120))
def test_a_tag_that_passes_is_one_plain_component_of_a_path(tag):
    try:
        name = folder_of(tag, "anywhere")
    except InputError:
        return
    assert check_tag(tag) == tag
    assert (Path("/sources") / name).parent == Path("/sources")
    assert not name.startswith((".", "-"))
    assert name.isascii()
    assert not any(character.isspace() for character in name)


@pytest.mark.parametrize("tag", ["v2.8.0", "v2.8.0-rc1", "1.0", "my_tag+1"])
def test_an_ordinary_tag_passes(tag):
    assert check_tag(tag) == tag
