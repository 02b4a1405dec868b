"""Build the site from the store, and put it in place only once it is whole.

`asv publish` deletes the old site first and leaves nothing behind when it fails. Here asv
writes into a folder beside the site, and the two change places at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import http.server
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mobileopt.errors import InputError, MobileoptError, OutputError, StoreError

PLUGIN = ".mobileopt.asv_plugin"
_EXAMPLES = """examples:
  python -m tools.publish                    into the html_dir of asv.conf.json
  python -m tools.publish --html public      into another folder
  python -m tools.publish --open             and look at it, until Ctrl-C
"""
# renameat2(2): relative to the working directory, and "exchange the two names".
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 when the site is in place, 2 with one sentence when it is not."""
    arguments = _parser().parse_args(argv)
    console = Console(stderr=True)
    try:
        started = time.monotonic()
        html, warnings = publish(arguments.config, arguments.html, arguments.pull, console)
    except MobileoptError as error:
        print(f"publish: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("publish: interrupted; the old site is as it was", file=sys.stderr)
        return 130
    for warning in warnings:
        print(f"publish: warning: {warning}", file=sys.stderr)
    if arguments.json:
        seconds = round(time.monotonic() - started, 3)
        print(json.dumps({"html": str(html), "seconds": seconds, "warnings": warnings}))
    else:
        print(html / "index.html")
    if arguments.open:
        _serve(html)
    return 0


def publish(
    config: Path, html: Path | None, pull: bool, console: Console
) -> tuple[Path, list[str]]:
    """Publish the store `config` names into `html`, or the html_dir it names.

    Returns the folder and asv's warnings. Raises InputError for a configuration or a folder
    that cannot be used, OutputError for one that cannot be written or is being written, and
    StoreError when asv cannot publish; in each case the old site is as it was.
    """
    if not config.is_file():
        raise InputError(f"{config} does not exist; run this in the folder of asv.conf.json")
    chosen = html.absolute() if html else None
    # Everything in the configuration is relative to it; asv goes there as well.
    with contextlib.chdir(config.absolute().parent):
        conf = configuration(config.absolute())
        target = (chosen or Path(conf.html_dir)).resolve()
        _check_target(target)
        with _locked(target), _folder_beside(target) as fresh:
            conf.html_dir = str(fresh)
            warnings = _run_asv(conf, pull, console)
            _put_in_place(fresh, target)
    return target, warnings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.publish",
        description="Build the site from the store; a failure leaves the old site as it was.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=Path("asv.conf.json"), metavar="FILE")
    parser.add_argument("--html", type=Path, metavar="DIR", help="default: html_dir of the config")
    parser.add_argument(
        "--no-pull", dest="pull", action="store_false", help="do not fetch a remote repository"
    )
    parser.add_argument("--open", action="store_true", help="serve it here and open a browser")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    return parser


def configuration(path: Path) -> Any:
    """asv's configuration, with its plugins imported; raises InputError for what is wrong in it."""
    from asv.config import Config
    from asv.plugin_manager import plugin_manager
    from asv.util import UserError

    try:
        conf = Config.load(str(path))
    except (UserError, ValueError) as error:
        why = _sentence(error)
        raise InputError(f"{path} cannot be read as asv's configuration: {why}") from error
    if PLUGIN not in conf.plugins:
        # asv ignores a name without its leading dot, and publishes without a word.
        raise InputError(f'{path} lacks "{PLUGIN}", with the leading dot, among its plugins')
    for plugin in conf.plugins:
        try:
            plugin_manager.import_plugin(plugin)
        except ImportError as error:
            raise InputError(f"{path} names the plugin {plugin!r}: {_sentence(error)}") from error
    return conf


def _check_target(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{target} is not a folder; the site needs one of its own")
    if any(target.iterdir()) and not (target / "asv.js").is_file():
        raise InputError(f"{target} holds something else than a site of asv; it was not replaced")


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.parent / f".{target.name}.lock")
        with lock.acquire(timeout=0):
            yield
    except Timeout as error:
        raise OutputError(f"{target} is being published by another process; wait for it") from error
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error}") from error


@contextlib.contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """A folder on the same file system; those of publishes that were killed are removed."""
    prefix = f".{target.name}.new-"
    for left in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_asv(conf: Any, pull: bool, console: Console) -> list[str]:
    from asv.commands.publish import Publish
    from asv.publishing import OutputPublisher
    from asv.util import UserError, iter_subclasses

    steps = 6 + len(list(iter_subclasses(OutputPublisher)))
    try:
        with _progress(steps, console) as warnings:
            Publish.run(conf, pull=pull)
    except UserError as error:
        raise StoreError(f"asv cannot publish: {_sentence(error)}") from error
    except Exception as error:
        # asv lets whatever git, JSON and its own code raise through; one sentence for each.
        kind = type(error).__name__
        raise StoreError(f"asv failed to publish: {kind}: {_sentence(error)}") from error
    return warnings


@contextlib.contextmanager
def _progress(steps: int, console: Console) -> Iterator[list[str]]:
    """A bar on a terminal, nothing elsewhere; gives the list asv's warnings are kept in."""
    # Markup off: a message of asv's may hold square brackets.
    message = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), BarColumn(24), message, TimeElapsedColumn())
    logger, level = logging.getLogger(), logging.getLogger().level
    # No thread redraws the bar: asv forks, and a fork beside a thread can hang.
    quiet = not console.is_terminal
    bar = Progress(*columns, console=console, transient=True, disable=quiet, auto_refresh=False)
    with bar, contextlib.redirect_stdout(_Dots(bar)):
        listener = _Listener(bar, bar.add_task("Publishing", total=steps))
        logger.addHandler(listener)
        logger.setLevel(logging.INFO)
        try:
            yield listener.warnings
        finally:
            logger.removeHandler(listener)
            logger.setLevel(level)


class _Dots(io.TextIOBase):
    """Takes the dot asv writes to a terminal each second of work, and redraws the bar for it."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar

    def isatty(self) -> bool:
        """Yes, or asv would write no dots."""
        return True

    def write(self, text: str, /) -> int:
        """Take a dot."""
        self.bar.refresh()
        return len(text)


class _Listener(logging.Handler):
    """Turns asv's log, which goes through the root logger, into a bar and a list of warnings."""

    def __init__(self, bar: Progress, task: Any) -> None:
        super().__init__(logging.INFO)
        self.bar, self.task = bar, task
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message of asv's."""
        text = _sentence(record.getMessage())
        if record.levelno >= logging.WARNING:
            self.warnings.append(text)
        else:
            self.bar.update(self.task, advance=1, description=text, refresh=True)


def _sentence(message: object) -> str:
    # asv puts a program's whole output below the first line.
    lines = str(message).strip().splitlines() or ["no reason given"]
    return lines[0]


def _put_in_place(fresh: Path, target: Path) -> None:
    if not target.exists():
        fresh.rename(target)
    elif not _exchange(fresh, target):
        # Two renames: for an instant there is no site, and never half of one.
        old = fresh.with_name(f"{fresh.name}-old")
        target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step where the system can (Linux); say whether it was done."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    names = os.fsencode(one), os.fsencode(other)
    return renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _serve(html: Path) -> None:
    handler = functools.partial(_Quiet, directory=str(html))
    # This machine only: what a lab measures is not for its whole network to see.
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/#/variants"
        print(f"{address}  (Ctrl-C to stop)", file=sys.stderr)
        webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
