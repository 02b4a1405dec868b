"""Whether `mobileopt check` can be trusted, in clones of this repository and on this machine.

Branches on which nothing changed must pass every time. Branches on which a pass of 10 % more
work was injected must fail and name it: one whose own work takes longer, and one that makes its
product slower. A third waits instead of working, which takes no CPU time.

    python -m benchmarks.verdicts gate
    python -m benchmarks.verdicts gate --runs 3 --budget 60 --slowdown 0.05
    python -m benchmarks.verdicts gate --simulated 200

With `--simulated` nothing is measured: that many checks of seven benchmarks are drawn from each
model of noise, with `--launches` launches in the time there is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.verdicts import noise
from mobileopt.conditions import HARNESS, environment
from mobileopt.gate import timing
from mobileopt.gate.finding import Result
from mobileopt.gate.timing import Clock, Pair
from mobileopt.gate.work import Question
from mobileopt.measure import Record, SessionPlan

_FOLDING = "mobileopt/optimizations/fold_conv_bn/__init__.py"
_NAMED = {
    "unchanged": "",
    "pass works longer": "passes.time_apply",
    "pass waits": "passes.time_apply",
    "product is slower": "latency.time_forward",
}
# Each line is appended to the pass's file. A comment: another file, the same work.
_UNCHANGED = "\n# Nothing changed here.\n"
_LONGER = """

_apply = apply


def apply(module, example_inputs):
    import time

    start = {clock}()
    result = _apply(module, example_inputs)
    more = {slowdown} * ({clock}() - start)
    {spend}
    return result
"""
_SPIN = "end = time.process_time() + more\n    while time.process_time() < end:\n        pass"
_WAIT = "time.sleep(more)"
_PRODUCT = """

class _Slowed(nn.Module):
    def __init__(self, inner, rows: int):
        super().__init__()
        self.inner = inner
        self.rows = rows

    def forward(self, x):
        # A share of the image goes through once more, and what comes of it changes nothing.
        again = self.inner(x[:, :, : self.rows])
        return self.inner(x) + 0.0 * again.mean()


_apply = apply


def apply(module, example_inputs):
    result = _apply(module, example_inputs)
    height = example_inputs[0].shape[2]
    slowed = _Slowed(result.module, round({slowdown} * height)).eval()
    return Result(slowed, result.changed, result.left)
"""


@dataclass(frozen=True)
class Run:
    """One check: what was injected, its exit code, seconds, and what it found to be worse."""

    injected: str
    code: int
    seconds: float
    document: dict[str, Any]

    @property
    def worse(self) -> dict[str, str]:
        """How much worse in percent, by metric."""
        return {
            each["metric"]: _percent(each)
            for each in self.document.get("findings", ())
            if each["outcome"] == "worse"
        }

    @property
    def right(self) -> bool:
        """Exit code 0 for what is unchanged; else 1, and named."""
        named = _NAMED[self.injected]
        return self.code == 0 if not named else self.code == 1 and named in self.worse


def main(argv: Sequence[str]) -> int:
    """Run all checks and print a table; 0 when every one was right, 1 when not."""
    arguments = _arguments(argv)
    console = Console(stderr=True)
    if arguments.simulated:
        _simulate(arguments, console)
        return 0
    wanted = ["unchanged"] * arguments.runs
    wanted += [each for each in list(_NAMED)[1:] for _ in range(arguments.injections)]
    runs: list[Run] = []
    with _clone() as folder:
        for number, injected in enumerate(wanted, start=1):
            with console.status(f"{number} of {len(wanted)}: {injected}"):
                runs.append(_check(folder, injected, number, arguments))
            console.print(_line(runs[-1]), markup=False, highlight=False)
    _print(runs, arguments)
    return 0 if all(each.right for each in runs) else 1


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=10, help="of unchanged branches (10)")
    parser.add_argument("--injections", type=int, default=1, help="checks of each injection (1)")
    for name, default, what in (
        ("--budget", Question.budget, "seconds a check"),
        ("--threshold", Question.threshold, "of the check"),
    ):
        parser.add_argument(name, type=float, default=default, help=f"{what} ({default:g})")
    parser.add_argument("--slowdown", type=float, default=0.1, help="injected (0.1)")
    parser.add_argument("--simulated", type=int, metavar="CHECKS", help="of each model of noise")
    parser.add_argument("--launches", type=int, default=20, help="in a simulated check (20)")
    parser.add_argument(
        "--model", default="mobilenet_v2", help="whose artifact is timed (mobilenet_v2)"
    )
    return parser.parse_args(argv)


@contextmanager
def _clone() -> Iterator[Path]:
    """A repository of its own that holds this code as it is, also where it is not committed."""
    with tempfile.TemporaryDirectory(prefix="mobileopt-gate-") as made:
        folder = Path(made)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(HARNESS / "mobileopt", folder / "mobileopt", ignore=ignored)
        _git(folder, "init", "-q", "-b", "main")
        _commit(folder, "as it is")
        yield folder


def _check(folder: Path, injected: str, number: int, arguments: argparse.Namespace) -> Run:
    _git(folder, "checkout", "-q", "-b", f"run-{number}", "main")
    with (folder / _FOLDING).open("a", encoding="utf-8") as file:
        file.write(_code(injected, arguments.slowdown))
    _commit(folder, injected)
    argv = [sys.executable, "-P", "-m", "mobileopt", "check", "--json", f"--seed={number}"]
    argv += [f"--budget={arguments.budget}", f"--threshold={arguments.threshold}"]
    argv += ["--models", arguments.model, "--recipes", "fx-float-nchw-torchscript"]
    argv += ["--passes", "fx"]
    began = time.monotonic()
    done = subprocess.run(
        argv, cwd=folder, env=environment(HARNESS), capture_output=True, text=True, check=False
    )
    document = json.loads(done.stdout) if done.stdout else {"sentence": done.stderr.strip()}
    return Run(injected, done.returncode, time.monotonic() - began, document)


def _code(injected: str, slowdown: float) -> str:
    if injected == "unchanged":
        return _UNCHANGED
    if injected == "product is slower":
        return _PRODUCT.format(slowdown=slowdown)
    waits = injected == "pass waits"
    clock = "time.perf_counter" if waits else "time.process_time"
    return _LONGER.format(clock=clock, slowdown=slowdown, spend=_WAIT if waits else _SPIN)


def _git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=experiment", "-c", "user.email=experiment@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def _commit(folder: Path, subject: str) -> None:
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", subject)


def _percent(finding: dict[str, Any]) -> str:
    if finding["ratio"] is None:
        return "from nothing"
    text = f"{100 * (finding['ratio'] - 1):+.1f} %"
    if finding["exact"] or finding["high"] is None:
        return text
    return f"{text} ({100 * (finding['low'] - 1):+.1f} to {100 * (finding['high'] - 1):+.1f})"


def _line(run: Run) -> str:
    told = "right" if run.right else "WRONG"
    sentence = run.document.get("sentence", "")
    return f"{run.injected}: exit {run.code}, {run.seconds:.0f} s, {told}: {sentence}"


def _print(runs: Sequence[Run], arguments: argparse.Namespace) -> None:
    print(f"\n### Injected {arguments.slowdown:.0%}, threshold {arguments.threshold:.0%}\n")
    print("| branch | checks | exit 0 | exit 1 | exit 2 | right | seconds | found |")
    print("|---|---|---|---|---|---|---|---|")
    for injected in dict.fromkeys(each.injected for each in runs):
        group = [each for each in runs if each.injected == injected]
        codes = [str(sum(each.code == code for each in group)) for code in (0, 1, 2)]
        right = f"{sum(each.right for each in group)} of {len(group)}"
        longest = f"up to {max(each.seconds for each in group):.0f}"
        found = "; ".join(
            each.worse[_NAMED[injected]] for each in group if _NAMED[injected] in each.worse
        )
        print(f"| {' | '.join([injected, str(len(group)), *codes, right, longest, found])} |")


# --- simulation -----------------------------------------------------------------------------

_BENCHMARKS = 7


class _Machine:
    """A clock and a session that take no time; the head of `slowed` is slower by `slowdown`."""

    def __init__(self, model: str, slowed: str, slowdown: float, seed: int) -> None:
        self.model, self.slowed, self.slowdown = model, slowed, slowdown
        self.rng, self.launches = np.random.default_rng(seed), 0

    def session(
        self,
        folders: Mapping[str, object],
        plan: SessionPlan,
        *,
        together: Sequence[Sequence[str]],
        until: float,
    ) -> Record:
        self.launches += 1
        times: dict[str, list[tuple[float, ...]]] = {}
        for base, head in together:
            slowdown = self.slowdown if f" of {self.slowed}," in head else 0.0
            sides = noise.session(self.model, slowdown, 1, plan.rounds, self.rng)
            for name, rounds in zip((base, head), sides, strict=True):
                times[name] = [tuple(each) for each in rounds]
        return Record(times, times, [0] * plan.rounds)


def _simulate(arguments: argparse.Namespace, console: Console) -> None:
    title = (
        f"{arguments.simulated} simulated checks a cell of {arguments.launches} launches, "
        f"{_BENCHMARKS} benchmarks, in %"
    )
    print(f"\n### {title}, threshold {arguments.threshold:.0%}\n")
    print("| noise | slower | exit 0 | exit 1 | exit 2 | it is named | another is named |")
    print("|---|---|---|---|---|---|---|")
    for model in noise.MODELS:
        for slowdown in (0.0, arguments.threshold, arguments.slowdown):
            with console.status(f"{model}, {slowdown:.0%}"):
                checks = [
                    _simulated(model, slowdown, seed, arguments)
                    for seed in range(arguments.simulated)
                ]
            codes = [_share(each.exit_code == code for each in checks) for code in (0, 1, 2)]
            named = [{each.subject for each in check.having("worse")} for check in checks]
            found = _share("0" in each for each in named) if slowdown else ""
            wrong = _share(bool(each - ({"0"} if slowdown else set())) for each in named)
            print(f"| {' | '.join([model, f'{slowdown:.0%}', *codes, found, wrong])} |", flush=True)


def _simulated(model: str, slowdown: float, seed: int, arguments: argparse.Namespace) -> Result:
    machine = _Machine(model, "0", slowdown, seed)
    pairs = [
        Pair("latency.time_forward", str(number), Path("base"), Path("head"))
        for number in range(_BENCHMARKS)
    ]
    clock = Clock(
        float(arguments.launches), now=lambda: float(machine.launches), session=machine.session
    )
    findings = timing.judge(pairs, arguments.threshold, clock)
    return Result("base", "head", tuple(findings), arguments.threshold, 0.0, {})


def _share(answers: Iterable[bool]) -> str:
    told = list(answers)
    return f"{100 * sum(told) / len(told):.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
