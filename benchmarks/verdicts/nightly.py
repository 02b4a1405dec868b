"""A nightly over ten commits, in one of which a pass makes slower models: what does it report?

    python -m benchmarks.verdicts nightly                     # this host
    python -m benchmarks.verdicts nightly --commits 10 --slow 6 --again 10
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
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    parser.add_argument("--launches", type=int, default=12, help="of each session (12)")
    parser.add_argument("--folder", help="where to work; must not exist")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    return parser


def _experiment(folder: Path, options: argparse.Namespace) -> int:
    clone = folder / "clone"
    commits = scratch(clone, options.commits, options.slow)
    slow = commits[options.slow - 1] if options.slow else ""
    config = configure(folder, options.commits, options.launches)
    good = True
    for night in range(1 + options.again):
        report, code, seconds = run_night(clone, config)
        blamed = {
            c["hash"] for each in report["changes"] if each["new"] for c in each["candidates"]
        }
        expected = {slow} if slow and not night else set()
        good &= blamed == expected and code == (1 if expected else 0)
        print(f"night {night + 1}: exit code {code}, {seconds:.0f} s, {report['headline']}")
        for each in report["changes"]:
            print("   ", _sentence(each))
        for each in report["refuted"] + report["undecided"]:
            print(f"    {each['variant']} at {each['first'][:8]}: {each['reason']}")
    print("as it should be" if good else f"NOT as it should be; the slow commit is {slow[:8]}")
    if options.keep:
        print(folder)
    return 0 if good else 1


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
        _git(clone, "add", "-A")
        subject = "Fused models doubt themselves" if number == slow else f"Change number {number}"
        _git(clone, "commit", "--quiet", "-m", subject)
        made.append(_git(clone, "rev-parse", "HEAD").strip())
    return made


def _slow_down(path: Path) -> None:
    text = path.read_text()
    last = "    return Result(result, tuple("
    assert text.count(last) == 1
    path.write_text(text.replace(last, last.replace("(result,", "(_Doubting(result),")) + _SLOWER)


def configure(folder: Path, newest: int, launches: int) -> Path:
    """A nightly.toml for the clone in `folder`; nothing else is measured than two variants."""
    text = f"""
[repository]
path = "clone"
[schedule]
newest = {newest}
[host]
benchmarks = {json.dumps(HOST)}
[confirm]
launches = {launches}
[site]
html = "site"
[report]
folder = "report"
"""
    path = folder / "nightly.toml"
    path.write_text(text)
    return path


def run_night(
    clone: Path, config: Path, extra: Sequence[str] = ()
) -> tuple[dict[str, Any], int, float]:
    """One nightly as a program; its report, exit code and seconds."""
    environment = os.environ | {"PYTHONPATH": str(clone)}
    command = [sys.executable, "-m", "tools.nightly", "--config", str(config), "--json", *extra]
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=clone, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode not in (0, 1, 2) or not done.stdout:
        raise SystemExit(f"the nightly failed with exit code {done.returncode}")
    return json.loads(done.stdout), done.returncode, time.monotonic() - started


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
