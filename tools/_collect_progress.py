"""What a collection shows while it runs: a bar a device on a terminal, else a line an outcome."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed

from mobileopt.collection.order import Event, Watch


@contextlib.contextmanager
def watching(console: Console) -> Generator[Watch, None, None]:
    """Show the events of a collection until the block is left."""
    # Markup off: what a phone says may hold square brackets.
    name, said = (TextColumn("{task.fields[%s]}" % each, markup=False) for each in ("name", "said"))  # noqa: UP031  braces are rich's
    columns = (name, BarColumn(24), MofNCompleteColumn(), Elapsed(), said)
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        yield _Watcher(console, bar).take


class _Watcher:
    """Takes events of several threads."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self.console, self.bar = console, bar
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def take(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            task = self._tasks.get(event.device)
            if task is None:
                task = self.bar.add_task("", name=event.device, said="", total=None)
                self._tasks[event.device] = task
            if event.total is not None:
                self.bar.update(task, total=event.total)
            if event.sentence:
                self.bar.update(task, said=_shown(event.sentence))
            if event.outcome is not None:
                self.bar.advance(task)
                self._line(event)

    def _line(self, event: Event) -> None:
        outcome = event.outcome
        if outcome is None or (self.console.is_terminal and outcome.status != "failed"):
            return
        line = f"{event.device}  {outcome.variant}  {outcome.status}  {outcome.reason}"
        self.console.print(_shown(line.rstrip()), markup=False, highlight=False, soft_wrap=True)


def _shown(text: str) -> str:
    """Text that cannot steer a terminal."""
    return "".join(each for each in text if each.isprintable())
