"""Measure what is new, make sure of what became slower, name the commit, and tell.

Needs a nightly.toml; `--init` writes one with every key explained. A nightly that was killed
goes on where it was: run it again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from mobileopt.errors import ConfigurationError, MobileoptError, OutputError, UnknownNameError
from mobileopt.nightly import config as configuration
from mobileopt.nightly import lock, night, orphans, reporting, telling, writing
from mobileopt.nightly.budget import parse_until
from mobileopt.nightly.config import NAME, Config
from mobileopt.nightly.fleet import FleetLab, check_certificates
from mobileopt.nightly.jobs import Lab
from mobileopt.nightly.ledger import Ledger
from mobileopt.nightly.night import Tools
from mobileopt.nightly.report import EXIT_CODES, Change, Report
from tools import _night_jobs as jobs
from tools import _night_worker
from tools.publish import publish

INTERRUPTED = 130
_EXAMPLES = """examples:
  python -m tools.nightly --init nightly.toml    a configuration to fill in
  python -m tools.nightly                        one night, from ./nightly.toml
  python -m tools.nightly --until 06:30          done by then, and says what was left
  python -m tools.nightly --scheduler tls://lab:8786    jobs go to the hosts of a lab
  python -m tools.nightly --release R58M         that phone was repaired: use it again

exit codes: 0 nothing new, 1 a regression was confirmed, 2 could not tell,
3 the configuration is broken, 130 stopped by Ctrl-C
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; see the exit codes above."""
    arguments = _parser().parse_args(argv)
    console = Console(stderr=True)
    try:
        if arguments.init:
            return _init(arguments.init)
        config = _configured(arguments)
        if arguments.release:
            return _release(config, arguments.release)
        report = run(config, console)
    except MobileoptError as error:
        print(f"nightly: {error}", file=sys.stderr)
        return error.exit_code
    except Exception:
        # Python's own exit code for it would be 1, and nobody has confirmed a regression.
        traceback.print_exc()
        return EXIT_CODES["undecided"]
    except KeyboardInterrupt:
        print("nightly: stopped; run it again to go on", file=sys.stderr)
        return INTERRUPTED
    if arguments.json:
        print(writing.as_json(report), end="")
    else:
        print(report.headline)
        print(config.report_folder / "report.md")
    return report.exit_code


def run(config: Config, console: Console, clock: Callable[[], float] = time.time) -> Report:
    """One night under the lock, told to everybody the configuration names.

    Raises OutputError when another nightly is at work, and what `night.run` raises.
    """
    state = night.prepare(config)
    results = jobs.results_folder(config)
    with (
        lock.held(state),
        contextlib.chdir(config.repository_path),  # asv and the collection work where they stand
        console.status("starting") as status,
        _lab(config) as lab,
    ):
        orphans.adopt(state)
        tools = Tools(lab, results, _publisher(config, console), _voice(console, status), clock)
        try:
            report = night.run(config, tools)
        except KeyboardInterrupt:
            orphans.adopt(state)  # what the threads have started, and nobody would wait for
            raise
        _tell(config, report, console)
        jobs.tidy()
    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.nightly",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=Path(NAME), metavar="FILE")
    parser.add_argument("--init", type=Path, metavar="FILE", help="write a configuration and stop")
    parser.add_argument("--release", metavar="SERIAL", help="end a phone's quarantine and stop")
    parser.add_argument("--until", metavar="HH:MM", help="time of day to be done by")
    parser.add_argument("--scheduler", metavar="URL", help="spread the jobs over a Dask cluster")
    parser.add_argument("--no-publish", action="store_true", help="leave the site as it is")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _init(path: Path) -> int:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(configuration.template())
    except OSError as error:
        raise OutputError(f"{path} was not written: {error.strerror or error}") from error
    print(path)
    return 0


def _release(config: Config, serial: str) -> int:
    state = night.prepare(config)
    with lock.held(state):
        quarantine = night.quarantine(config)
        failing = quarantine.standings()
        if serial not in failing:
            raise UnknownNameError("phone with failures", serial, failing)
        quarantine.clear(serial)
    print(f"{serial} is used again; it had failed with: {failing[serial].reason}")
    return 0


def _configured(arguments: argparse.Namespace) -> Config:
    config = configuration.load(arguments.config)
    if arguments.until is not None:
        parse_until(arguments.until)
        config = replace(config, schedule=replace(config.schedule, until=arguments.until))
    if arguments.scheduler is not None:
        config = replace(config, fleet=replace(config.fleet, scheduler=arguments.scheduler))
    if arguments.no_publish:
        config = replace(config, site=replace(config.site, publish=False))
    configuration.check(config)
    check_certificates(config.fleet)
    if not (config.repository_path / jobs.ASV).is_file():
        raise ConfigurationError(
            f"repository.path is {config.repository_path}, which has no {jobs.ASV}"
        )
    return config


@contextlib.contextmanager
def _lab(config: Config) -> Iterator[Lab]:
    if not config.fleet.scheduler:
        yield jobs.LocalLab(config)
        return
    lab = FleetLab(
        config.fleet, _night_worker.perform, _night_worker.machines, config.phones.serials
    )
    try:
        yield lab
    finally:
        lab.close()


def _publisher(config: Config, console: Console) -> Callable[[], tuple[Path, list[str]]] | None:
    if not config.site.publish:
        return None
    html = config.root / config.site.html if config.site.html else None
    # The status line and asv's bar cannot share a terminal.
    quiet = Console(stderr=True, quiet=True) if console.is_terminal else console
    asv, branch = config.repository_path / jobs.ASV, config.repository.branch
    return lambda: publish(asv, html, False, quiet, branch)


def _voice(console: Console, status: Status) -> Callable[[str], None]:
    def say(text: str) -> None:
        status.update(escape(text))
        if not console.is_terminal:
            console.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False, highlight=False)

    return say


def _tell(config: Config, report: Report, console: Console) -> None:
    ledger = Ledger(night.state_folder(config) / "ledger.jsonl")
    everything = reporting.changes(config, ledger)
    failures: list[str] = []
    try:
        writing.write(report, config.report_folder, config.report.url, everything)
    except Exception as error:
        # A full disk is no reason not to mail what the night has found.
        failures.append(f"the report was not written: {type(error).__name__}: {error}")
    failures += telling.tell(report, config)
    for failure in failures:
        console.print(f"nightly: {failure}", style="yellow", markup=False)
    if not failures:
        _mark_told(ledger, report.changes)


def _mark_told(ledger: Ledger, changes: Sequence[Change]) -> None:
    """Only what reached everybody counts as told; the rest is told again."""
    for change in changes:
        if change.new:
            ledger.add("told", change=change.id)


if __name__ == "__main__":
    code = main()
    if code == INTERRUPTED:
        # Threads that wait for a phone would hold the process up; nothing is lost with them.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
