"""`python -m tools.build` from a tag: its sources, and names that are no tag's."""

from __future__ import annotations

import pytest

from tools.build import main

from .building import document, needs_tools, says
from .upstream import NATIVE, runs

pytestmark = needs_tools


def test_a_tag_is_cloned_with_its_submodules_once(upstream, ndk, cache, capsys):
    args = ["--tag", "v2.8.0", "--repository", upstream.as_uri(), "--ndk", str(ndk)]
    args += ["--cache", str(cache), "--abi", NATIVE, "--json"]
    assert main(args) == 0
    shown = document(capsys)
    assert [says(each["path"]) for each in shown["binaries"]] == ["full", "lite"]
    (source,) = (cache / "sources").iterdir()
    assert (source / "third_party/XNNPACK/CMakeLists.txt").exists()
    assert main(args) == 0
    assert runs(source) == 2


def test_a_tag_without_the_script_is_refused_before_its_submodules(upstream, ndk, cache, capsys):
    args = ["--tag", "v2.9.0", "--repository", upstream.as_uri(), "--ndk", str(ndk)]
    assert main([*args, "--cache", str(cache), "--abi", NATIVE]) == 2
    error = capsys.readouterr().err
    assert "deleted it on 2025-07-23" in error
    assert "v2.8.x should be the last" in error
    assert list((cache / "sources").iterdir()) == []


def test_a_tag_that_does_not_exist_is_named(upstream, ndk, cache, capsys):
    args = ["--tag", "v0.0.1", "--repository", upstream.as_uri(), "--ndk", str(ndk)]
    assert main([*args, "--cache", str(cache), "--abi", NATIVE]) == 2
    assert "fetching tag v0.0.1" in capsys.readouterr().err
    assert list((cache / "sources").iterdir()) == []


def test_a_branch_is_not_a_tag(upstream, ndk, cache, capsys):
    args = ["--tag", "main", "--repository", upstream.as_uri(), "--ndk", str(ndk)]
    assert main([*args, "--cache", str(cache), "--abi", NATIVE]) == 2
    assert "refs/tags/main" in capsys.readouterr().err


@pytest.mark.parametrize(
    "tag",
    ["--upload-pack=touch pwned", "../x", "v2 8", "", "v2..8", "a/b", "v1.lock", "v\n2", "@{u}"],
)
def test_a_hostile_tag_is_refused_before_anything_is_made(tag, cache, capsys):
    assert main([f"--tag={tag}", "--cache", str(cache)]) == 2
    assert "is not a tag's name" in capsys.readouterr().err
    assert not cache.exists()
