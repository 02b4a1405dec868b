"""A build as it goes: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import re
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

_NINJA = re.compile(r"\[(\d{1,9})/(\d{1,9})\] ?(.*)")
_PERCENT = re.compile(r"(?:\[ *|.*: +)(\d{1,3})%")
_EVERY = 5
"""Percent between two lines of a log."""


def step(line: str) -> tuple[int, int] | None:
    """How far a line says its program is: ninja's [n/m], make's and git's percent.

    >>> step("[12/4096] Building CXX object a.o"), step("[ 42%] Linking"), step("-- Looking")
    ((12, 4096), (42, 100), None)
    """
    ninja = _NINJA.match(line)
    if ninja and int(ninja[2]) > 0 and int(ninja[1]) <= int(ninja[2]):
        return int(ninja[1]), int(ninja[2])
    percent = _PERCENT.match(line)
    return (int(percent[1]), 100) if percent and int(percent[1]) <= 100 else None


class PlainProgress:
    """Lines for a log: what begins, every five percent of it, and notes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._what = ""
        self._shown = 0

    def begin(self, what: str) -> None:
        """Print what begins."""
        self._what, self._shown = what, 0
        self.note(what)

    def line(self, text: str) -> None:
        """Print how far it is, when that is five percent further or began anew."""
        at = step(text)
        if not at:
            return
        percent = 100 * at[0] // at[1] // _EVERY * _EVERY
        if percent != self._shown:
            self._shown = percent
            if percent:
                self.note(f"{self._what}: {percent} % ({at[0]}/{at[1]})")

    def note(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class BarProgress:
    """One bar on a terminal: what runs, how far it is, and its latest line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[last]}", markup=False, style="dim"),
            console=console,
            transient=True,
        )
        self._task = self._bars.add_task("", total=None, last="", visible=False)

    def begin(self, what: str) -> None:
        """Show what begins, from zero."""
        self._bars.reset(self._task, total=None, description=what, last="", visible=True)

    def line(self, text: str) -> None:
        """Move the bar, or show what else the program says."""
        at = step(text)
        if at:
            self._bars.update(self._task, completed=at[0], total=at[1], last="")
        else:
            self._bars.update(self._task, last=text[: max(0, self._console.width - 70)])

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(Text(text), soft_wrap=True)

    def __enter__(self) -> BarProgress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()


def progress(console: Console) -> BarProgress | PlainProgress:
    """The one that suits where `console` writes."""
    return BarProgress(console) if console.is_terminal else PlainProgress(console)
