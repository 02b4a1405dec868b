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
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

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
    config: Path, html: Path | None, pull: bool, console: Console, branch: str = "HEAD"
) -> tuple[Path, list[str]]:
    """Publish the store `config` names into `html`, or the html_dir it names.

    `branch` is shown first; one that is given takes the place of HEAD among the branches.
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
        conf.branches = _branches(conf.branches, branch)
        target = (chosen or Path(conf.html_dir)).resolve()
        _check_target(target)
        with _locked(target), _folder_beside(target) as fresh:
            conf.html_dir = str(fresh)
            warnings = _fill(conf, target, pull, console)
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


def _branches(configured: Sequence[str], first: str) -> list[str]:
    """What asv publishes: a HEAD that nobody moves would hide what was fetched since."""
    if first == "HEAD":
        return list(configured)
    return [first, *(each for each in configured if each not in (first, "HEAD"))]


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


def _fill(conf: Any, previous: Path, pull: bool, console: Console) -> list[str]:
    from asv.util import UserError

    from mobileopt.asv_plugin.site import add_pages
    from mobileopt.publishing.publisher import publish

    try:
        with _progress(console) as (report, warnings):
            left_out = publish(conf, previous, add_pages, pull=pull, report=report)
    except UserError as error:
        raise StoreError(f"the store cannot be published: {_sentence(error)}") from error
    return [*left_out, *warnings]


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[tuple[Callable[[str], None], list[str]]]:
    """A line on a terminal, nothing elsewhere; gives what to call, and asv's warnings."""
    # Markup off: a message may hold square brackets.
    message = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), message, TimeElapsedColumn())
    # No thread redraws the line: the detection forks, and a fork beside a thread can hang.
    quiet = not console.is_terminal
    bar = Progress(*columns, console=console, transient=True, disable=quiet, auto_refresh=False)
    listener = _Listener()
    logger = logging.getLogger()
    logger.addHandler(listener)
    try:
        with bar:
            task = bar.add_task("Publishing")
            yield lambda text: bar.update(task, description=text, refresh=True), listener.warnings
    finally:
        logger.removeHandler(listener)


class _Listener(logging.Handler):
    """Keeps the warnings of asv's log, which goes through the root logger."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message of asv's."""
        self.warnings.append(_sentence(record.getMessage()))


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
