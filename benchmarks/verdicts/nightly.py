"""A nightly over ten commits, in one of which a pass makes slower models: what does it report?

    python -m benchmarks.verdicts nightly                     # this host
    python -m benchmarks.verdicts nightly --phones 2          # and two phones on loopback
    python -m benchmarks.verdicts nightly --phones 2 --stand-in --no-host
    python -m benchmarks.verdicts nightly --phones 4 --cluster --no-host
    python -m benchmarks.verdicts nightly --kills 4           # kill -9 on the way, and again
    python -m benchmarks.verdicts nightly --slow 0 --again 9 --grow --different   # all quiet
    python -m benchmarks.verdicts nightly --folder scratch --keep

Clones the last commit of this checkout into a scratch folder, commits `--commits` times on top of
it, the `--slow`-th of them with an extra operation in every fused model, and runs a nightly in
that clone, as a program of its own. Then it counts: the slow commit has to be blamed on every
machine, for the fused variant alone, and no other; `--again` more nights have to report nothing;
every commit and variant has to be stored once for each machine, and no job done twice. Prints a
row of docs/lab.md. Exit code 0 when all is so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.verdicts import nightly_cluster, nightly_counts, nightly_scratch
from benchmarks.verdicts.nightly_counts import Expected
from benchmarks.verdicts.nightly_scratch import MODEL, VARIANTS, Scratch
from mobileopt.errors import MobileoptError

_RECIPES = "|".join(each.partition("/")[2] for each in VARIANTS)
HOST = rf"^(latency\.time_forward|size\.track_artifact)\('{MODEL}', '({_RECIPES})'\)"


@dataclass
class Nights:
    """The nights of one experiment: where, with what, and what became of them so far.

    `wrong` is whatever is not as it should be; `seconds` are of each night, `killed` what was
    killed in the first, `false` the alarms nothing was the reason for, `undecided` the suspicions
    that no session could decide, one for each night.
    """

    scratch: Scratch
    config: Path
    seconds: list[float] = field(default_factory=list[float])
    killed: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    blamed: set[str] = field(default_factory=set[str])
    false: int = 0
    undecided: int = 0

    @property
    def ledger(self) -> Path:
        """The nightly's ledger."""
        return self.scratch.folder / ".nightly" / "ledger.jsonl"

    def run(self, expected: Expected) -> None:
        """One night, judged."""
        report, code, seconds = run_night(self.scratch.folder, self.config)
        self.seconds.append(seconds)
        print(f"night {len(self.seconds)}: exit code {code}, {seconds:.0f} s, {report['headline']}")
        tell(report)
        self.wrong += nightly_counts.complaints(report, code, expected)
        self.false += len(nightly_counts.false_alarms(report, expected.slow))
        self.undecided += len(report["undecided"])
        if expected.slow:
            self.blamed = nightly_counts.blaming(report, expected.slow)


def main(arguments: list[str]) -> int:
    """Run the experiment; 0 when all was as it should be, 2 with one sentence when it cannot."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if problem := _problem(options):
        parser.error(problem)
    folder = Path(options.folder or tempfile.mkdtemp(prefix="mobileopt-nightly-")).absolute()
    try:
        return _experiment(folder, options)
    except MobileoptError as error:
        print(f"nightly: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts nightly",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--commits", type=int, default=10)
    parser.add_argument("--slow", type=int, default=6, help="which of them; 0 for none (6)")
    parser.add_argument("--again", type=int, default=1, help="further nights, same commits (1)")
    parser.add_argument("--grow", action="store_true", help="each further night has a new commit")
    parser.add_argument(
        "--different",
        action="store_true",
        help="unchanged commits export other bytes of the same work, so that they are compared",
    )
    parser.add_argument("--launches", type=int, default=12, help="of each comparison (12)")
    parser.add_argument(
        "--rounds", type=int, default=8, help="launches of a variant on a phone, at most (8)"
    )
    parser.add_argument("--phones", type=int, default=0, help="phones on loopback (0)")
    parser.add_argument(
        "--stand-in",
        action="store_true",
        help="phones take time by a model's size, not by running it: shows the way, not the times",
    )
    parser.add_argument(
        "--cluster",
        action="store_true",
        help="three Dask workers; two, the scheduler and an adb server are killed on the way",
    )
    parser.add_argument("--kills", type=int, default=0, help="of the first night (0)")
    parser.add_argument("--no-host", action="store_true", help="phones only")
    parser.add_argument("--folder", help="where to work; must not exist")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    parser.add_argument("--report", type=Path, help="copy the first night's report.md there")
    return parser


def _problem(options: argparse.Namespace) -> str:
    if not 0 <= options.slow <= options.commits or options.commits < 1:
        return "--slow is one of --commits, or 0"
    if options.folder and Path(options.folder).exists():
        return f"--folder {options.folder} exists"
    if options.cluster and not (options.phones and options.no_host):
        # All workers here would be one host: of one machine's kind, and one computer.
        return "--cluster needs --phones and --no-host"
    if options.cluster and options.kills:
        return "--cluster kills by itself; --kills is for a nightly alone"
    return "--no-host needs --phones" if options.no_host and not options.phones else ""


def _experiment(folder: Path, options: argparse.Namespace) -> int:
    scratch = Scratch(folder / "clone", different=options.different)
    for number in range(1, options.commits + 1):
        scratch.commit(slow=number == options.slow)
    slow = scratch.commits[options.slow - 1] if options.slow else ""
    expected = Expected(options.phones, not options.no_host, len(VARIANTS), slow)
    with nightly_scratch.connected(folder, options.phones) as phones:
        program = _program(folder, options)
        with _hosts(folder, options, phones, program) as hosts:
            url = hosts.url if hosts else ""
            config = configure(folder, options, phones, program, scheduler=url)
            nights = Nights(scratch, config)
            _first(nights, expected, hosts, options)
            for _ in range(options.again):
                if options.grow:
                    scratch.commit()
                nights.run(replace(expected, slow=""))
    if not nightly_counts.counted(scratch.folder, scratch.commits, expected):
        nights.wrong.append("something is missing or was done twice")
    if hosts and not nightly_counts.counted_on_hosts(scratch.folder, hosts.homes):
        nights.wrong.append("the hosts' stores and the nightly's differ")
    return _conclude(nights, expected, options, folder)


def _first(
    nights: Nights,
    expected: Expected,
    hosts: nightly_cluster.Cluster | None,
    options: argparse.Namespace,
) -> None:
    """The first night, with somebody who kills."""
    for number in range(options.kills):
        # The last one while two commits are compared, which is where most is to be lost.
        comparing = expected.slow and 0 < number == options.kills - 1
        nights.killed.append(kill_night(nights, comparing=bool(comparing)))
    stop = threading.Event()
    if hosts:
        deeds = (nights.ledger, stop, bool(expected.slow))
        threading.Thread(target=hosts.disturb, args=deeds).start()
    nights.run(expected)
    stop.set()
    if hosts:
        nights.killed += hosts.killed
        if len(hosts.killed) != hosts.deeds(comparing=bool(expected.slow)):
            nights.wrong.append("the night was over before everything was killed")
    if options.report:
        shutil.copy(nights.config.parent / "report" / "report.md", options.report)


def _program(folder: Path, options: argparse.Namespace) -> Path | None:
    if not options.phones:
        return None
    make: Callable[[Path], Path]
    make = nightly_scratch.stand_in if options.stand_in else nightly_scratch.running
    return make(folder)


@contextmanager
def _hosts(
    folder: Path, options: argparse.Namespace, phones: dict[str, Any], program: Path | None
) -> Iterator[nightly_cluster.Cluster | None]:
    if not options.cluster:
        yield None
        return

    def of_host(home: Path, own: dict[str, Any], url: str) -> Path:
        return configure(home, options, own, program, scheduler=url)

    with nightly_cluster.cluster(folder, folder / "clone", phones, of_host) as made:
        yield made


def _conclude(nights: Nights, expected: Expected, options: argparse.Namespace, folder: Path) -> int:
    for each in nights.wrong:
        print(f"    wrong: {each}")
    print(
        "as it should be" if not nights.wrong else f"NOT so; the slow commit: {expected.slow[:8]}"
    )
    print("", _HEADER, row(nights, expected, options), sep="\n")
    if options.keep:
        print(folder)
    return 1 if nights.wrong else 0


_COLUMNS = (
    "machine", "commits", "phones", "their program", "killed", "nights", "first night",
    "further ones", "sessions", "slow commit blamed", "false alarms", "undecided",
)  # fmt: skip
_HEADER = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}"


def row(nights: Nights, expected: Expected, options: argparse.Namespace) -> str:
    """A line of the table in docs/lab.md."""
    first, *further = nights.seconds
    program = ("stand-in" if options.stand_in else "libtorch") if options.phones else ""
    blamed = f"on {len(nights.blamed)} of {expected.machines} machines" if options.slow else "none"
    cells = (
        this_machine(), len(nights.scratch.commits), options.phones, program,
        ", ".join(nights.killed) or "nothing", len(nights.seconds), f"{first:.0f} s",
        f"{median(further):.0f} s" if further else "", nightly_counts.sessions(nights.ledger),
        blamed, nights.false, nights.undecided,
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def this_machine() -> str:
    """The name asv's results of this host go under."""
    from asv.machine import Machine

    from tools.bench import machine_name

    facts = Machine.get_defaults()
    return machine_name(facts["cpu"], facts["arch"], facts["num_cpu"])


def tell(report: dict[str, Any]) -> None:
    """What a night reported, a line each."""
    for each in report["changes"]:
        print("   ", nightly_counts.sentence(each))
    for each in report["refuted"] + report["undecided"]:
        print(f"    {each['variant']} at {each['first'][:8]}: {each['reason']}")
    for each in report["warnings"]:
        print(f"    {each}")
    sys.stdout.flush()


def configure(
    folder: Path,
    options: argparse.Namespace,
    phones: dict[str, Any],
    program: Path | None,
    *,
    scheduler: str,
) -> Path:
    """A nightly.toml for the clone in `folder`; nothing else is measured than two variants."""
    of_phones = {"programs": [str(program)], "rounds": options.rounds} if program else {}
    sections: dict[str, dict[str, Any]] = {
        "repository": {"path": "clone"},
        "schedule": {"newest": options.commits},
        "host": {"enabled": not options.no_host, "benchmarks": HOST},
        "phones": phones | of_phones,
        "confirm": {"launches": options.launches},
        "site": {"html": "site"},
        "report": {"folder": "report"},
        "fleet": {"scheduler": scheduler},
    }
    lines: list[str] = []
    for name, keys in sections.items():
        # What JSON writes for texts, numbers, booleans and lists of texts is TOML as well.
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    path = folder / "nightly.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def run_night(clone: Path, config: Path) -> tuple[dict[str, Any], int, float]:
    """One nightly as a program; its report, exit code and seconds."""
    started = time.monotonic()
    with _nightly(clone, config) as process:
        out, _ = process.communicate()
    if process.returncode not in (0, 1, 2) or not out:
        raise SystemExit(f"the nightly failed with exit code {process.returncode}")
    return json.loads(out), process.returncode, time.monotonic() - started


def kill_night(nights: Nights, *, comparing: bool) -> str:
    """A nightly that is killed at any moment: of its first two minutes, or of comparing."""
    seconds = random.uniform(5, 20 if comparing else 120)  # noqa: S311 - any moment will do
    started = time.monotonic()
    with _nightly(nights.scratch.folder, nights.config) as process:
        while comparing and process.poll() is None:
            if nightly_cluster.jobs(nights.ledger, "compare"):
                break
            time.sleep(0.2)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        alive = process.poll() is None
        process.kill()
    if not alive:
        nights.wrong.append("a night was over before it was killed")
    when = "comparing" if comparing else "measuring"
    print(f"killed while {when}, after {time.monotonic() - started:.0f} s", flush=True)
    return f"while {when}"


def _nightly(clone: Path, config: Path) -> subprocess.Popen[str]:
    cache = config.parent / "cache"
    environment = os.environ | {"PYTHONPATH": str(clone), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "tools.nightly", "--config", str(config), "--json"]
    return subprocess.Popen(command, cwd=clone, env=environment, stdout=subprocess.PIPE, text=True)
