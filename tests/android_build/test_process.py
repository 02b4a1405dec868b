from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from mobileopt.android_build import process
from mobileopt.android_build.process import capture, clean, stream
from mobileopt.errors import CapabilityError, OutputError

ENVIRON = {"PATH": os.environ["PATH"]}


def run(tmp_path: Path, script: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    argv = ["sh", "-c", script]
    code = stream(argv, environ=ENVIRON, cwd=tmp_path, log=tmp_path / "log", on_line=lines.append)
    return code, lines


def test_lines_come_whole_from_both_streams_and_the_log_keeps_every_byte(tmp_path):
    code, lines = run(
        tmp_path, r"printf 'one\r50%%\r\n'; printf 'tw' ; sleep 0.1; printf 'o\n' >&2"
    )
    assert (code, lines) == (0, ["one", "50%", "two"])
    assert (tmp_path / "log").read_bytes() == b"one\r50%\r\ntwo\n"


def test_the_exit_code_and_a_last_line_without_an_end_are_kept(tmp_path):
    assert run(tmp_path, "printf last; exit 7") == (7, ["last"])


def test_a_signal_is_a_negative_code(tmp_path):
    assert run(tmp_path, "kill -9 $$")[0] == -9


def test_a_program_sees_only_the_environment_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    assert run(tmp_path, 'echo "[$SECRET]"')[1] == ["[]"]


def test_a_line_without_end_is_not_kept_in_memory(tmp_path):
    code, lines = run(tmp_path, "head -c 1000000 /dev/zero | tr '\\0' x")
    assert code == 0
    assert len(lines[0]) <= 64 * 1024


def test_a_daemon_left_behind_is_not_waited_for(tmp_path):
    code, lines = run(tmp_path, "sleep 60 & echo $!")
    assert code == 0
    os.kill(int(lines[0]), 9)


def test_an_error_in_between_ends_the_program_even_when_it_will_not(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "GRACE", 0.3)

    def stop(text: str) -> None:
        raise KeyboardInterrupt(text)

    script = "trap '' TERM; echo $$; while :; do sleep 0.05; done"
    argv = ["sh", "-c", script]
    with pytest.raises(KeyboardInterrupt) as ended:
        stream(argv, environ=ENVIRON, cwd=tmp_path, log=tmp_path / "log", on_line=stop)
    time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(ended.value)), 0)


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CapabilityError, match="nothing-such cannot be started"):
        stream(["nothing-such"], environ=ENVIRON, cwd=tmp_path, log=tmp_path / "log", on_line=print)


@pytest.mark.parametrize("log", ["/dev/full", "/nowhere/log"])
def test_a_log_that_cannot_be_written_is_named(log, tmp_path):
    with pytest.raises(OutputError, match=f"the log {log} cannot be written"):
        stream(["echo", "x"], environ=ENVIRON, cwd=tmp_path, log=Path(log), on_line=lambda _: None)


def test_capture_gives_nothing_for_what_does_not_start_or_does_not_end():
    assert capture(["nothing-such"], environ=ENVIRON) is None
    assert capture(["sleep", "60"], environ=ENVIRON, seconds=0.1) is None
    assert capture(["bad\0name"], environ=ENVIRON) is None


def test_capture_feeds_and_reads():
    done = capture([sys.executable, "-c", "print(input())"], environ=ENVIRON, stdin="hello\n")
    assert done is not None
    assert done.stdout == "hello\n"


def test_a_cleaned_line_has_no_escapes():
    assert clean("\x1b[31merror:\x1b[0m a\x07b\x1b]0;title") == "error: ab]0;title"
