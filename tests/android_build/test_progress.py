from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mobileopt.android_build.progress import BarProgress, PlainProgress, progress, step


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("[12/4096] Building CXX object a.o", (12, 4096)),
        ("[0/1] Re-running CMake", (0, 1)),
        ("[ 42%] Building", (42, 100)),
        ("Receiving objects:  57% (5/9), 1.2 MiB", (57, 100)),
        ("remote: Counting objects: 100% (9/9), done.", (100, 100)),
        ("-- Looking for sys/types.h - found", None),
        ("[3/2] impossible", None),
        ("[1/0] impossible", None),
        ("[200%] impossible", None),
        ("", None),
    ],
)
def test_how_far_a_line_says_it_is(line, at):
    assert step(line) == at


@given(st.text())
def test_any_line_is_a_step_within_its_total_or_none(line):
    at = step(line)
    assert at is None or 0 <= at[0] <= at[1]


def plain() -> tuple[PlainProgress, io.StringIO]:
    out = io.StringIO()
    shown = progress(Console(file=out))
    assert isinstance(shown, PlainProgress)
    return shown, out


def test_a_log_gets_a_line_every_five_percent():
    shown, out = plain()
    with shown:
        shown.begin("building x")
        for n in range(1, 1001):
            shown.line(f"[{n}/1000] Building")
            shown.line("warning: nothing of note")
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["building x", "building x: 5 % (50/1000)"]
    assert lines[-1] == "building x: 100 % (1000/1000)"
    assert len(lines) == 21


def test_markup_in_a_line_is_text():
    shown, out = plain()
    shown.note("[bold]x[/bold] [/]")
    assert out.getvalue() == "[bold]x[/bold] [/]\n"


def test_a_terminal_gets_a_bar_and_its_lines_are_text():
    out = io.StringIO()
    shown = progress(Console(file=out, force_terminal=True, width=120))
    assert isinstance(shown, BarProgress)
    with shown:
        shown.begin("building [x]")
        shown.line("[7/9] Building")
        shown.line("a line with [/markup]")
        shown.note("a note with [/markup]")
    assert "building [x]" in out.getvalue()
    assert "7/9" in out.getvalue()
    assert "a note with [/markup]" in out.getvalue()
