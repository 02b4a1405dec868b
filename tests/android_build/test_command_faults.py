"""`python -m tools.build` when the build fails, makes the wrong thing, or is not alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.build import main

from .building import ROOT, binaries, needs_tools, order
from .upstream import FOREIGN, NATIVE, clone, runs

pytestmark = needs_tools


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
