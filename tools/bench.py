"""Benchmark the last commit into the store, publish the site, and print what pays.

This is `make bench`: a quick but real part of the suite. `asv run` measures all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks._suite import CORE_MODELS, QUICK_RECIPES
from mobileopt.asv_plugin import index
from mobileopt.commits import git
from mobileopt.errors import InputError, MeasurementError, MobileoptError
from mobileopt.report.units import bytes_, decibels, milliseconds
from tools.publish import publish

_EXAMPLES = """examples:
  python -m tools.bench                          the quick part of the suite, this commit
  python -m tools.bench --commits HEAD~2..HEAD   history: a point for each of two commits
  python -m tools.bench --all                    everything, for a night
"""
_QUICK_BENCHMARKS = ("latency.time_forward", "size.track_artifact", "fidelity.track_")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 when the table and the site are there, 2 with one sentence when not."""
    arguments = _parser().parse_args(argv)
    console = Console(stderr=True)
    try:
        machine = register_machine()
        _warn_about_changes(console)
        pattern = None if arguments.all else quick_pattern()
        run(arguments.commits, machine, pattern=pattern, console=console)
        html, warnings = publish(Path("asv.conf.json"), None, False, console)
    except MobileoptError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bench: stopped; the commits that were finished are in the store", file=sys.stderr)
        return 130
    for warning in warnings:
        print(f"bench: warning: {warning}", file=sys.stderr)
    show(html, machine, Console(width=None if sys.stdout.isatty() else 160))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--commits", default="HEAD^!", help="as git names them (default: HEAD)")
    parser.add_argument("--all", action="store_true", help="every benchmark and combination")
    return parser


def register_machine() -> str:
    """Tell asv what this machine is, and return the name its results go under.

    The name says what kind of machine it is, not which: a container or a CI runner that is gone
    tomorrow must not start a history of its own.
    """
    from asv.machine import Machine, MachineCollection

    facts = Machine.get_defaults()
    name = machine_name(facts["cpu"], facts["arch"], facts["num_cpu"])
    # The kernel's build and the exact memory of a virtual machine change from day to day, and
    # whatever changes here splits the graphs.
    system, memory = str(facts["os"]).split()[0], f"{round(int(facts['ram']) / 2**30)} GiB"
    MachineCollection.save(name, facts | {"machine": name, "os": system, "ram": memory})
    return name


def machine_name(cpu: str, arch: str, cores: str) -> str:
    """A folder's name of what a machine is: ``intel-xeon-processor-x86_64-2cpu``."""
    kind = re.sub(r"\((r|tm)\)|@.*", "", cpu.lower())
    words = re.findall(r"[a-z0-9]+", kind) or ["cpu"]
    machine = re.sub(r"[^a-z0-9_]", "", arch.lower()) or "unknown"
    return "-".join([*words, machine, f"{int(cores or 1)}cpu"])


def _warn_about_changes(console: Console) -> None:
    changes = git(Path(), "status", "--porcelain", "--", "mobileopt", "benchmarks")
    if changes.returncode:
        raise InputError("this is no git checkout, and benchmarks belong to commits")
    if changes.stdout:
        console.print("Measuring the last commit; the changes in this checkout are not part of it.")


def run(
    commits: str,
    machine: str,
    *,
    pattern: str | None,
    console: Console,
    folder: Path | None = None,
    seconds: float | None = None,
) -> None:
    """Run asv over `commits` in the clone at `folder`, or here.

    `pattern` selects benchmarks as asv's --bench does, None takes all. Raises MeasurementError
    when asv fails, and when it is not done in `seconds`; the commits that were finished are in
    the store.
    """
    argv = [sys.executable, "-m", "asv", "run", "--machine", machine, "--record-samples"]
    argv += [] if pattern is None else ["--bench", pattern]
    # A session of its own, so that all of it can be ended, and Ctrl-C is passed on here.
    with subprocess.Popen(
        [*argv, commits], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=folder, start_new_session=True,
    ) as asv, _deadline(asv, seconds) as late:  # fmt: skip
        try:
            last = _follow(asv, console)
        except BaseException:
            _end(asv)
            raise
    if late.is_set():
        raise MeasurementError(f"asv was not done with {commits} in {seconds:.0f} s")
    # 2 says that a benchmark failed; the others are in the store, and its own line said why.
    if asv.returncode not in (0, 2):
        raise MeasurementError(f"asv run failed with exit code {asv.returncode}: {last}")


@contextmanager
def _deadline(asv: subprocess.Popen[str], seconds: float | None) -> Iterator[threading.Event]:
    """Ends asv after `seconds`; gives whether it did."""
    late = threading.Event()

    def end() -> None:
        late.set()
        _end(asv)

    timer = threading.Timer(seconds or 0.0, end)
    if seconds is not None:
        timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _end(asv: subprocess.Popen[str]) -> None:
    """End asv; its own Ctrl-C ends what it started, and SIGKILL would leave that running."""
    with suppress(ProcessLookupError):
        os.killpg(asv.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            asv.wait(20)
            return
        os.killpg(asv.pid, signal.SIGKILL)


def quick_pattern() -> str:
    """asv's --bench for the quick part of the suite."""
    names = "|".join(map(re.escape, _QUICK_BENCHMARKS))
    models, recipes = "|".join(CORE_MODELS), "|".join(QUICK_RECIPES)
    return rf"^({names})\w*\('({models})', '({recipes})'\)"


def _follow(asv: subprocess.Popen[str], console: Console) -> str:
    """Show how far asv is; its tables list every combination, also those not asked for."""
    last = "it said nothing"
    with console.status("starting asv") as status:
        for line in asv.stdout or ():
            last = line.strip() or last
            if re.match(r"\[ *[\d.]+%\]", line):
                status.update(f"benchmarking {line.strip()}")
                if not console.is_terminal:
                    console.print(line.strip(), markup=False, highlight=False)
            elif "failed" in line or line.startswith("asv:"):
                console.print(line.strip(), style="yellow", markup=False)
    return last


def show(html: Path, machine: str, console: Console) -> None:
    """Print the Variants page's data for one machine, and where the site is."""
    data = json.loads((html / index.OWN / "variants.json").read_text(encoding="utf-8"))
    for environment in data["environments"]:
        if environment["params"]["machine"] == machine:
            for model in environment["models"]:
                console.print(_table(model))
    console.print(f"The site: {html / 'index.html'}", soft_wrap=True)
    console.print("To look at it: make preview, or any web server on that folder")


def _table(model: Mapping[str, Any]) -> Table:
    table = Table(title=str(model["model"]), title_justify="left")
    table.add_column("recipe", no_wrap=True)
    for heading in ("latency", "speed", "size", "SQNR"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = sorted(model["rows"], key=lambda row: row.get("ratio", {}).get("value", 0.0))
    for row in rows:
        table.add_row(Text(row["recipe"]), *_cells(row))
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    cells, ratio = row["cells"], row.get("ratio")
    return [
        milliseconds(cells["latency"]["value"]) if "latency" in cells else "n/a",
        f"{ratio['value']:.2f}x" if ratio else "n/a",
        bytes_(cells["size"]["value"]) if "size" in cells else "n/a",
        decibels(cells["noise"]["value"]) if "noise" in cells else "n/a",
    ]


if __name__ == "__main__":
    sys.exit(main())
