"""A nightly over ten commits, in one of which a pass makes slower models: what does it report?

    python -m benchmarks.verdicts nightly                     # this host
    python -m benchmarks.verdicts nightly --slow 0 --again 10 --grow    # nothing to report
    python -m benchmarks.verdicts nightly --phones 2          # and two phones on loopback
    python -m benchmarks.verdicts nightly --phones 2 --stand-in --no-host
    python -m benchmarks.verdicts nightly --phones 4 --cluster --no-host
    python -m benchmarks.verdicts nightly --kills 4           # kill -9 on the way, and again
    python -m benchmarks.verdicts nightly --folder scratch --keep

Clones the last commit of this checkout into a scratch folder, commits `--commits` times on top of
it, the `--slow`-th of them with an extra operation in every fused model, and runs a nightly in
that clone, as a program of its own. Then it counts: the slow commit has to be reported and no
other, and `--again` more nights have to report nothing. Exit code 0 when that is so.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.verdicts import nightly_cluster

REWRITTEN = "mobileopt/optimizations/fuse_modules.py"
MODEL = "annotated_conv_bn_relu"
RECIPES = ("fused-float-nchw-mobile", "unfused-float-nchw-mobile")
HOST = rf"^(latency\.time_forward|size\.track_artifact)\('{MODEL}', '({'|'.join(RECIPES)})'\)"
_IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "A. Author"), ("EMAIL", "author@example.org"))
}
_SLOWER = '''

class _Doubting(nn.Module):
    """Computes what it adds nothing of."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        y = self.inner(x)
        return y + 0.0 * y.sigmoid()
'''

_STAND_IN = """#!/bin/sh
for word in "$@"; do
  case "$word" in --iter=*) iter=${word#*=};; --model=*) model=${word#*=};; esac
done
size=$(wc -c < "$model") || exit 134
i=0
echo "Main runs."
while [ $i -lt $iter ]; do
  value=$((size / 4 + i % 7))
  echo "PyTorchObserver {\\"type\\": \\"NET\\", \\"unit\\": \\"us\\", \\"metric\\": \\"latency\\", \\"value\\": \\"$value\\"}"
  i=$((i + 1))
done
echo "Main run finished. Microseconds per iter: $((size / 4 + 3)). Iters per second: 1000"
"""  # noqa: E501


def main(arguments: list[str]) -> int:
    """Run the experiment; 0 when exactly the slow commit was reported."""
    options = _parser().parse_args(arguments)
    folder = Path(options.folder or tempfile.mkdtemp(prefix="mobileopt-nightly-")).absolute()
    try:
        return _experiment(folder, options)
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
    parser.add_argument(
        "--grow", action="store_true", help="each further night has a new commit, unchanged"
    )
    parser.add_argument("--launches", type=int, default=12, help="of each session (12)")
    parser.add_argument("--phones", type=int, default=0, help="phones on loopback (0)")
    parser.add_argument(
        "--stand-in",
        action="store_true",
        help="phones take time by a model's size, not by running it: shows the way, not the times",
    )
    parser.add_argument(
        "--cluster",
        action="store_true",
        help="three Dask workers; one, the scheduler and an adb server are killed on the way",
    )
    parser.add_argument("--kills", type=int, default=0, help="of the first night (0)")
    parser.add_argument("--no-host", action="store_true", help="phones only")
    parser.add_argument("--folder", help="where to work; must not exist")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    return parser


def _experiment(folder: Path, options: argparse.Namespace) -> int:
    clone = folder / "clone"
    commits = scratch(clone, options.commits, options.slow)
    slow = commits[options.slow - 1] if options.slow else ""
    with connected(folder, options.phones) as phones:
        program = stand_in(folder) if options.stand_in else running(folder)
        with _hosts(folder, options, phones, program) as hosts:
            config = configure(
                folder, options, phones, program, scheduler=hosts.url if hosts else ""
            )
            good = True
            for night in range(1 + options.again):
                if night and options.grow:
                    commit(clone, f"Change number {options.commits + night}")
                stop = threading.Event()
                ledger = clone / ".nightly" / "ledger.jsonl"
                if hosts and not night:
                    threading.Thread(target=hosts.disturb, args=(ledger, stop)).start()
                for _ in range(0 if night else options.kills):
                    kill_night(clone, config)
                report, code, seconds = run_night(clone, config)
                stop.set()
                expected = slow if not night else ""
                good &= as_expected(report, code, expected, options)
                print(f"night {night + 1}: exit code {code}, {seconds:.0f} s, {report['headline']}")
                tell(report)
            if hosts:
                good &= _counted(clone, hosts, options)
    print("as it should be" if good else f"NOT as it should be; the slow commit is {slow[:8]}")
    if options.keep:
        print(folder)
    return 0 if good else 1


@contextmanager
def _hosts(
    folder: Path, options: argparse.Namespace, phones: dict[str, Any], program: Path
) -> Iterator[nightly_cluster.Cluster | None]:
    if not options.cluster:
        yield None
        return

    def of_host(home: Path, own: dict[str, Any], program: Path, url: str) -> Path:
        return configure(home, options, own, program, scheduler=url)

    with nightly_cluster.cluster(folder, folder / "clone", phones, program, of_host) as made:
        yield made


def _counted(clone: Path, hosts: nightly_cluster.Cluster, options: argparse.Namespace) -> bool:
    """Whether everything was measured once, whoever died on the way."""
    found = nightly_cluster.count(clone / "results")
    expected = options.phones * options.commits * len(RECIPES)
    print(f"killed: {', '.join(hosts.killed)}; {nightly_cluster.told(found, expected)}")
    return len(found) == expected == found.total() and len(hosts.killed) == 3


def as_expected(report: dict[str, Any], code: int, slow: str, options: argparse.Namespace) -> bool:
    """Whether a night blamed the slow commit alone, and on every machine it was measured on."""
    told = [each for each in report["changes"] if each["new"]]
    blamed = {commit["hash"] for each in told for commit in each["candidates"]}
    timed = {each["machine"] for each in told if each["metric"] == "latency.time_forward"}
    machines = options.phones + (not options.no_host)
    if not slow:
        return not told and code == 0
    return blamed == {slow} and len(timed) == machines and code == 1


def tell(report: dict[str, Any]) -> None:
    """What a night reported, a line each."""
    for each in report["changes"]:
        print("   ", _sentence(each))
    for each in report["refuted"] + report["undecided"]:
        print(f"    {each['variant']} at {each['first'][:8]}: {each['reason']}")
    for each in report["warnings"]:
        print(f"    {each}")


@contextmanager
def connected(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    """`count` phones on loopback behind an adb server of their own, as a [phones] section."""
    if not count:
        yield {"enabled": False}
        return
    from tests.loopback.adbd import Adbd
    from tests.loopback.root import Root
    from tests.loopback.server import adb_server

    home = folder / "adb"
    home.mkdir(parents=True)
    with adb_server(home) as port:
        phones = [Adbd(Root(folder / f"phone{n}", f"PHONE{n}")) for n in range(1, count + 1)]
        yield {
            "enabled": True,
            "serials": [f"PHONE{n}" for n in range(1, count + 1)],
            "adb_host": "127.0.0.1",
            "adb_port": port,
            "connect": [each.address for each in phones],
            "variants": [f"{MODEL}/{recipe}" for recipe in RECIPES],
        }
        for each in phones:
            each.power_off()


def running(folder: Path) -> Path:
    """A program for loopback phones that really runs the model, with this interpreter."""
    text = Path("tests/loopback/speed_benchmark_torch.py").read_text()
    return _program(folder, f"#!{sys.executable}\n{text}")


def stand_in(folder: Path) -> Path:
    """A program that takes a quarter of a microsecond a byte of the model."""
    return _program(folder, _STAND_IN)


def _program(folder: Path, text: str) -> Path:
    path = folder / "speed_benchmark_torch"
    path.write_text(text)
    path.chmod(0o755)
    return path


def scratch(clone: Path, count: int, slow: int) -> list[str]:
    """A clone of this checkout's last commit with `count` commits on top; their hashes."""
    _git(Path.cwd(), "clone", "--quiet", "--no-hardlinks", ".", str(clone))
    _git(clone, "checkout", "--quiet", "-B", "scratch")
    # Its own results would be a history of this machine that no night here has measured.
    _git(clone, "rm", "--quiet", "-r", "results")
    _git(clone, "commit", "--quiet", "-m", "A history of its own")
    made: list[str] = []
    for number in range(1, count + 1):
        (clone / "SCRATCH").write_text(f"{number}\n")
        if number == slow:
            _slow_down(clone / REWRITTEN)
        subject = "Fused models doubt themselves" if number == slow else f"Change number {number}"
        made.append(commit(clone, subject))
    return made


def commit(clone: Path, subject: str) -> str:
    """Commit what is there, if anything; the commit's hash."""
    _git(clone, "add", "-A", "mobileopt", "SCRATCH")
    _git(clone, "commit", "--quiet", "--allow-empty", "-m", subject)
    return _git(clone, "rev-parse", "HEAD").strip()


def _slow_down(path: Path) -> None:
    text = path.read_text()
    last = "    return Result(result, tuple("
    assert text.count(last) == 1
    path.write_text(text.replace(last, last.replace("(result,", "(_Doubting(result),")) + _SLOWER)


def configure(
    folder: Path,
    options: argparse.Namespace,
    phones: dict[str, Any],
    program: Path,
    *,
    scheduler: str,
) -> Path:
    """A nightly.toml for the clone in `folder`; nothing else is measured than two variants."""
    sections: dict[str, dict[str, Any]] = {
        "repository": {"path": "clone"},
        "schedule": {"newest": options.commits},
        "host": {"enabled": not options.no_host, "benchmarks": HOST},
        "phones": phones | {"programs": [str(program)]},
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


def kill_night(clone: Path, config: Path) -> None:
    """A nightly that is killed at any moment of its first two minutes."""
    seconds = random.uniform(5, 120)  # noqa: S311 - any moment will do
    with _nightly(clone, config) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
    print(f"killed after {seconds:.0f} s")


def _nightly(clone: Path, config: Path) -> subprocess.Popen[str]:
    cache = config.parent / "cache"
    environment = os.environ | {"PYTHONPATH": str(clone), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "tools.nightly", "--config", str(config), "--json"]
    return subprocess.Popen(command, cwd=clone, env=environment, stdout=subprocess.PIPE, text=True)


def _sentence(change: dict[str, Any]) -> str:
    commits = ", ".join(f"{c['hash'][:8]} {c['subject']}" for c in change["candidates"])
    kind = "new" if change["new"] else "told before"
    what = f"{change['metric']} of {change['variant']} on {change['machine']}"
    return f"{kind}: {what} {change['ratio'] - 1:+.1%}, {commits}"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | _IDENTITY
    )
    return done.stdout
