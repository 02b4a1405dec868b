"""Captured outputs in `tests/data/`: the exit code and both streams of a program."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parents[1] / "data"


def captured(program: str, case: str) -> tuple[str, str, int]:
    """stdout, stderr and the exit code."""
    text = (DATA / program / f"{case}.txt").read_text(encoding="utf-8")
    head, _, streams = text.partition("--- stdout\n")
    stdout, _, stderr = streams.partition("--- stderr\n")
    return stdout, stderr, int(head.removeprefix("exit "))


def cases(program: str) -> list[str]:
    """The names of what was captured of a program."""
    return sorted(path.stem for path in (DATA / program).glob("*.txt"))
