"""`python -m tools.build`, from its arguments to the binary in the cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.build import main

from .building import ROOT, document, needs_tools, order, says
from .upstream import NATIVE, git

pytestmark = needs_tools


def test_both_flavours_are_built_and_each_is_what_it_says(checkout, ndk, cache, capsys):
    assert main(order(checkout, ndk, cache, "--json")) == 0
    shown = document(capsys)
    assert shown["ok"]
    full, lite = shown["binaries"]
    assert says(full["path"]) == "full"
    assert says(lite["path"]) == "lite"
    assert full["key"]["tag"] == "v2.8.0"
    assert full["key"]["commit"] == git(checkout, "rev-parse", "HEAD").strip()
    assert full["key"]["ndk"] == "21.4.7075529"
    assert full["size"] == Path(full["path"]).stat().st_size
    assert (cache / "logs" / full["log"]).read_text().count("Installation completed") == 1
    assert list((cache / "builds").iterdir()) == []


def test_the_path_of_each_binary_is_all_that_is_printed_for_a_script(checkout, ndk, cache, capsys):
    assert main(order(checkout, ndk, cache)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [says(line) for line in lines] == ["full", "lite"]


def test_the_script_gets_the_recipe_and_nothing_of_the_host_compiler(
    checkout, ndk, cache, monkeypatch
):
    monkeypatch.setenv("CFLAGS", "-march=native")
    monkeypatch.setenv("BUILD_ROOT", "/nowhere")
    assert main(order(checkout, ndk, cache, "--flavour", "full", "--jobs", "3")) == 0
    environment = (checkout / "environment-full").read_text().splitlines()
    assert "BUILD_LITE_INTERPRETER=0" in environment
    assert f"ANDROID_NDK={ndk}" in environment
    assert f"ANDROID_ABI={NATIVE}" in environment
    assert "MAX_JOBS=3" in environment
    assert f"PYTHON={sys.executable}" in environment
    assert not [line for line in environment if line.startswith(("CFLAGS=", "USE_VULKAN="))]
    arguments = (checkout / "arguments-full").read_text().splitlines()
    assert arguments[:2] == ["-DBUILD_BINARY=ON", "-DBUILD_LITE_INTERPRETER=OFF"]


def test_each_flavour_is_built_in_a_folder_of_its_own_under_the_cache(checkout, ndk, cache):
    assert main(order(checkout, ndk, cache)) == 0
    folders = {(checkout / f"folder-{flavour}").read_text() for flavour in ("full", "lite")}
    assert len(folders) == 2
    assert all(folder.startswith(str(cache / "builds")) for folder in folders)


@pytest.mark.parametrize("variable", ["ANDROID_NDK", "ANDROID_NDK_HOME", "ANDROID_NDK_ROOT"])
def test_an_ndk_can_be_named_by_variable(variable, checkout, ndk, cache, monkeypatch):
    monkeypatch.setenv(variable, str(ndk))
    args = ["--checkout", str(checkout), "--cache", str(cache), "--abi", NATIVE]
    assert main([*args, "--flavour", "lite"]) == 0
    assert f"ANDROID_NDK={ndk}" in (checkout / "environment-lite").read_text().splitlines()


def test_cmake_4_gets_the_policy_variable(checkout, ndk, cache, monkeypatch, tmp_path, capsys):
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin/cmake"
    fake.write_text("#!/bin/sh\necho cmake version 4.0.2\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert main(order(checkout, ndk, cache, "--flavour", "lite")) == 0
    environment = (checkout / "environment-lite").read_text().splitlines()
    assert "CMAKE_POLICY_VERSION_MINIMUM=3.5" in environment


def test_the_list_shows_what_is_there_and_what_is_damaged(checkout, ndk, cache, capsys):
    assert main(["--list", "--cache", str(cache)]) == 0
    assert "is empty" in capsys.readouterr().err
    assert main(order(checkout, ndk, cache)) == 0
    full, lite = capsys.readouterr().out.splitlines()
    Path(full).unlink()
    assert main(["--list", "--cache", str(cache), "--json"]) == 0
    shown = document(capsys)
    assert [each["path"] for each in shown["binaries"]] == [lite]
    assert full in shown["damaged"][0]
    assert main(["--list", "--cache", str(cache)]) == 0
    assert "damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--abi", "arm64"], "did you mean 'arm64-v8a'"),
        (["--flavour", "light"], "did you mean 'lite'"),
        (["--ignore", "nkd"], "did you mean 'ndk'"),
        (["--define", "A=b c"], "is not NAME=VALUE"),
        (["--define", "BUILD_BINARY=OFF"], "always ON"),
        (["--jobs", "0"], "at least 1"),
        (["--tag", "v2.8.0"], "both given"),
    ],
)
def test_a_wrong_word_is_told_in_one_sentence(words, says, checkout, ndk, cache, capsys):
    args = ["--checkout", str(checkout), "--ndk", str(ndk), "--cache", str(cache), *words]
    assert main(args) == 2
    assert says in capsys.readouterr().err


def test_an_error_is_a_document_too(cache, capsys):
    assert main(["--tag", "../x", "--cache", str(cache), "--json"]) == 2
    assert "is not a tag's name" in document(capsys)["error"]


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "python -m tools.build --tag v2.8.0" in capsys.readouterr().out


def test_the_command_leaves_torch_out():
    code = "import sys, tools.build; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
