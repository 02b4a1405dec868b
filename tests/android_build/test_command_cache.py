"""`python -m tools.build` and its cache: what is there, what is damaged, what cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.build import main

from .building import ROOT, checks, document, needs_tools, order, says
from .upstream import git, runs

pytestmark = needs_tools


def test_what_is_in_the_cache_is_not_built_again(checkout, ndk, cache, capsys):
    assert main(order(checkout, ndk, cache)) == 0
    capsys.readouterr()
    assert main(order(checkout, ndk, cache, "--json")) == 0
    assert [each["cached"] for each in document(capsys)["binaries"]] == [True, True]
    assert runs(checkout) == 2


def test_what_is_in_the_cache_needs_no_tools(checkout, ndk, cache, monkeypatch, tmp_path):
    assert main(order(checkout, ndk, cache)) == 0
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert main(order(checkout, ndk, cache)) == 0
    assert runs(checkout) == 2


def test_only_the_missing_flavour_is_built(checkout, ndk, cache, capsys):
    assert main(order(checkout, ndk, cache, "--flavour", "lite")) == 0
    capsys.readouterr()
    assert main(order(checkout, ndk, cache, "--json")) == 0
    assert [each["cached"] for each in document(capsys)["binaries"]] == [False, True]


def test_another_commit_is_another_binary(checkout, ndk, cache):
    assert main(order(checkout, ndk, cache, "--flavour", "lite")) == 0
    git(checkout, "checkout", "--quiet", "v2.7.1")
    assert main(order(checkout, ndk, cache, "--flavour", "lite")) == 0
    assert runs(checkout) == 2
    assert len(list((cache / "binaries").iterdir())) == 2


def test_a_modified_checkout_is_marked_and_never_taken_from_the_cache(checkout, ndk, cache, capsys):
    (checkout / "version.txt").write_text("mine\n")
    for _ in range(2):
        assert main(order(checkout, ndk, cache, "--flavour", "lite", "--json")) == 0
        shown = document(capsys)
        assert ("modified", "warning") in checks(shown)
        assert shown["binaries"][0]["key"]["modified"]
    assert runs(checkout) == 2
    git(checkout, "checkout", "version.txt")
    assert main(order(checkout, ndk, cache, "--flavour", "lite")) == 0
    assert runs(checkout) == 3


def test_a_damaged_binary_is_built_again(checkout, ndk, cache, capsys):
    args = order(checkout, ndk, cache, "--flavour", "full", "--json")
    assert main(args) == 0
    path = Path(document(capsys)["binaries"][0]["path"])
    path.write_bytes(path.read_bytes()[:100])
    assert main(args) == 0
    assert says(path) == "full"
    assert runs(checkout) == 2


def test_a_cache_that_is_a_file_is_named(checkout, ndk, cache, capsys):
    cache.write_text("")
    assert main(order(checkout, ndk, cache)) == 2
    assert f"error: {cache} cannot be written" in capsys.readouterr().err


def mounted(mount: str, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a mount namespace of its own, after `mount` on `folder`."""
    script = f'mount {mount} "$1" || exit 77; shift; exec "$@"'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", folder, *command],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("this machine allows no mount namespaces")
    return done


needs_mounts = pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare")


@needs_mounts
def test_a_full_cache_is_named_before_the_build(checkout, ndk, cache):
    cache.mkdir()
    command = [sys.executable, "-m", "tools.build", *order(checkout, ndk, cache)]
    done = mounted("-t tmpfs -o size=256k none", command, cache)
    assert done.returncode == 2
    assert "0.0 GiB free" in done.stderr
    assert runs(checkout) == 0


@needs_mounts
def test_a_cache_that_fills_while_building_is_named_and_gets_no_binary(checkout, ndk, cache):
    (checkout / "behaviour").write_text("flood")  # the log fills the disk
    cache.mkdir()
    left = f'"$@"; code=$?; find "{cache}" -name "speed_benchmark_torch*" >&2; exit $code'
    command = [sys.executable, "-m", "tools.build", *order(checkout, ndk, cache)]
    command = ["sh", "-c", left, "sh", *command, "--ignore", "disk"]
    done = mounted("-t tmpfs -o size=256k none", command, cache)
    assert done.returncode == 2
    assert "cannot be written: No space left on device" in done.stderr
    assert f"{cache}/binaries" not in done.stderr
    assert "Traceback" not in done.stderr


@needs_mounts
@pytest.mark.parametrize("used", [False, True])
def test_a_read_only_cache_is_named(used, checkout, ndk, cache, capsys):
    cache.mkdir()
    if used:
        assert main(order(checkout, ndk, cache, "--flavour", "full")) == 0
    command = [sys.executable, "-m", "tools.build", *order(checkout, ndk, cache)]
    done = (
        mounted("-t tmpfs -o ro none", command, cache)
        if not used
        else mounted(f'--bind "{cache}" "{cache}" && mount -o remount,ro,bind', command, cache)
    )
    assert done.returncode == 2
    assert f"{cache} cannot be written: Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
