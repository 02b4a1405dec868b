"""`python -m tools.build`, from its arguments to the binary in the cache."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.build import main

from .upstream import FOREIGN, NATIVE, clone, git, make_ndk, runs

pytestmark = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("cmake", "ninja", "cc", "git")),
    reason="builds a real program: needs cmake, ninja, a C compiler and git",
)
ROOT = Path(__file__).parents[2]


def order(checkout: Path, ndk: Path, cache: Path, *more: str) -> list[str]:
    where = ["--checkout", str(checkout), "--ndk", str(ndk), "--cache", str(cache)]
    return [*where, "--abi", NATIVE, *more]


def document(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def binaries(cache: Path) -> list[str]:
    return sorted(str(path.relative_to(cache / "binaries")) for path in _files(cache / "binaries"))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def says(binary: str | Path) -> str:
    return subprocess.run([str(binary)], capture_output=True, text=True, check=True).stdout.strip()


def checks(shown: dict) -> set[tuple[str, str]]:
    return {(each["check"], each["severity"]) for each in shown["findings"]}


def start(args: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tools.build", *args],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(true: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    pytest.fail(f"no {what} in 30 seconds")


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def hanging(checkout: Path) -> int:
    wait_for((checkout / "hanging").exists, "hanging build")
    time.sleep(0.05)
    return int((checkout / "hanging").read_text())


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


def test_a_program_for_another_machine_is_refused(checkout, ndk, cache, capsys):
    args = order(checkout, ndk, cache, "--ignore", "ndk-march")
    args[args.index(NATIVE)] = FOREIGN
    assert main(args) == 2
    error = capsys.readouterr().err
    assert f"{FOREIGN} is" in error
    assert "toolchain was not used" in error
    assert binaries(cache) == []


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("nothing", "left no"),
        ("text", "is not an ELF file"),
        ("link", "left no"),
        ("wrong-flavour", "BUILD_LITE_INTERPRETER=ON for the full"),
    ],
)
def test_a_build_that_ends_well_with_the_wrong_thing_is_refused(
    behaviour, words, checkout, ndk, cache, capsys
):
    (checkout / "behaviour").write_text(behaviour)
    assert main(order(checkout, ndk, cache)) == 2
    assert words in capsys.readouterr().err
    assert binaries(cache) == []


def test_a_failing_script_is_told_with_its_log_and_its_last_lines(checkout, ndk, cache, capsys):
    (checkout / "behaviour").write_text("fail")
    assert main(order(checkout, ndk, cache)) == 2
    error = capsys.readouterr().err
    log = Path(error.partition("its log is ")[2].partition(", its files")[0])
    assert "exit code 3" in error
    assert "x.cpp:1:2: error: no such thing\n  ninja: build stopped." in error
    assert "number-1.o" not in error
    assert "number-1.o" in log.read_text()
    assert "-DBUILD_BINARY=ON" in log.read_text()
    assert binaries(cache) == []


def test_a_build_after_a_failed_one_starts_clean(checkout, ndk, cache, capsys):
    (checkout / "behaviour").write_text("fail")
    assert main(order(checkout, ndk, cache, "--flavour", "lite")) == 2
    (left,) = (cache / "builds").iterdir()
    (checkout / "behaviour").unlink()
    assert main(order(checkout, ndk, cache, "--flavour", "lite")) == 0
    assert not left.exists()
    assert str(left) not in (checkout / "folder-lite").read_text()


def test_a_failed_build_leaves_the_binary_that_was_there(checkout, ndk, cache, capsys):
    (checkout / "version.txt").write_text("mine\n")
    assert main(order(checkout, ndk, cache, "--flavour", "lite")) == 0
    before = binaries(cache)
    (checkout / "behaviour").write_text("fail")
    assert main(order(checkout, ndk, cache, "--flavour", "lite")) == 2
    assert binaries(cache) == before


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "cancelled"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_cancelled_build_ends_its_compiler_and_leaves_nothing(
    number, code, word, checkout, ndk, cache
):
    (checkout / "behaviour").write_text("hang")
    process = start(order(checkout, ndk, cache))
    script = hanging(checkout)
    process.send_signal(number)
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, "")
    assert word in error
    assert "Traceback" not in error
    assert not alive(script)
    assert binaries(cache) == []
    assert list((cache / "builds").iterdir()) == []


def test_a_killed_build_leaves_nothing_half_and_the_next_one_starts_clean(checkout, ndk, cache):
    (checkout / "behaviour").write_text("hang")
    process = start(order(checkout, ndk, cache, "--flavour", "lite"))
    script = hanging(checkout)
    process.kill()
    process.communicate(timeout=30)
    assert binaries(cache) == []
    (left,) = (cache / "builds").iterdir()
    (checkout / "behaviour").unlink()
    assert main(order(checkout, ndk, cache, "--flavour", "lite")) == 0
    assert not left.exists()
    wait_for(lambda: not alive(script), "end of the orphaned script")
    assert len(binaries(cache)) == 2


def test_two_builds_from_one_checkout_do_not_run_at_once(checkout, ndk, cache, capsys):
    (checkout / "behaviour").write_text("hang")
    first = start(order(checkout, ndk, cache, "--flavour", "lite"))
    try:
        hanging(checkout)
        assert main(order(checkout, ndk, cache, "--flavour", "full")) == 2
        assert f"another process is building from {checkout}" in capsys.readouterr().err
        assert runs(checkout) == 1
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=30)


def test_two_builds_of_one_key_do_not_run_at_once(checkout, upstream, ndk, cache, tmp_path, capsys):
    other = clone(upstream, tmp_path / "other")
    (checkout / "behaviour").write_text("hang")
    first = start(order(checkout, ndk, cache, "--flavour", "lite"))
    try:
        hanging(checkout)
        assert main(order(other, ndk, cache, "--flavour", "lite")) == 2
        assert "another process is building v2.8.0" in capsys.readouterr().err
        assert runs(other) == 0
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=30)


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


def test_the_doctor_refuses_before_a_download(upstream, cache, capsys):
    args = ["--tag", "v2.8.0", "--repository", upstream.as_uri(), "--cache", str(cache)]
    assert main(args) == 2
    assert "no Android NDK is named" in capsys.readouterr().err
    assert not cache.exists()


def test_the_doctor_alone_writes_nothing(checkout, ndk, cache, capsys):
    assert main(order(checkout, ndk, cache, "--doctor", "--json")) == 0
    assert document(capsys)["ok"]
    assert not cache.exists()
    assert runs(checkout) == 0


def test_a_newer_checkout_lacks_the_script_and_the_finding_names_the_last_tag_that_has_it(
    checkout, ndk, cache, capsys
):
    git(checkout, "checkout", "--quiet", "v2.9.0")
    assert main(order(checkout, ndk, cache, "--json")) == 2
    shown = document(capsys)
    assert ("script", "error") in checks(shown)
    (finding,) = [each for each in shown["findings"] if each["check"] == "script"]
    assert "the last tag here that has it is v2.8.0" in finding["says"]
    assert "git checkout v2.8.0" in finding["fix"]


def test_an_old_clang_is_found_by_compiling_with_it(checkout, cache, tmp_path, capsys):
    ndk = make_ndk(tmp_path / "old", rejects="i8mm bf16")
    args = order(checkout, ndk, cache, "--doctor", "--json")
    args[args.index(NATIVE)] = "arm64-v8a"
    assert main(args) == 2
    (finding,) = [each for each in document(capsys)["findings"] if each["check"] == "ndk-march"]
    assert "does not support '-march=armv8.2-a+i8mm'" in finding["says"]
    assert "XNNPACK_ENABLE_ARM_I8MM=OFF" in finding["fix"]
    assert main([*args, "--define", "XNNPACK_ENABLE_ARM_I8MM=OFF"]) == 0


def test_an_error_can_be_overruled_by_name(checkout, cache, tmp_path, capsys):
    ndk = make_ndk(tmp_path / "new", "25.2.9519653")
    assert main(order(checkout, ndk, cache, "--vulkan")) == 2
    assert "vulkan_wrapper.h" in capsys.readouterr().err
    assert main(order(checkout, ndk, cache, "--vulkan", "--ignore", "ndk-vulkan")) == 0
    assert "USE_VULKAN=1" in (checkout / "environment-full").read_text().splitlines()


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


def test_a_cache_that_is_a_file_is_named(checkout, ndk, cache, capsys):
    cache.write_text("")
    assert main(order(checkout, ndk, cache)) == 2
    assert f"error: {cache} cannot be written" in capsys.readouterr().err


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


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "python -m tools.build --tag v2.8.0" in capsys.readouterr().out


def test_the_command_leaves_torch_out():
    code = "import sys, tools.build; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
