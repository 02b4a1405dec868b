"""How much of torchvision the folding pass folds, and how exactly, beside torch's own fuser.

Examples:
  python -m tools.fusion_coverage --models 'resnet*' mobilenet_v2
  python -m tools.fusion_coverage --json > coverage.json
  python -m tools.fusion_coverage --resume coverage.json --json --output coverage.json
  nice python -m tools.fusion_coverage --output docs/fusion_coverage.md

Every model runs in a process of its own with a time limit. Exit code 0: no folded model is
wrong; 1: one is; 2: the command could not be run as given.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mobileopt.errors import InputError, MobileoptError, OutputError
from tools._fusion_case import EXACT, count_norms, outline

Row = dict[str, Any]
INTERRUPTED = "was not run to its end before the interruption"


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    try:
        known = resumed(options.resume) if options.resume else {}
        rows = measure_all(select(options.models), options.time_limit, known)
        text = json.dumps(rows, indent=2) if options.json else markdown(rows)
        if options.output:
            _write(options.output, text)
        else:
            print(text)
    except MobileoptError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 1 if any(is_wrong(row) for row in rows) else 0


def _parser() -> argparse.ArgumentParser:
    first, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m tools.fusion_coverage",
        description=first,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--models", nargs="+", default=["*"], metavar="NAME", help="names or patterns (all)"
    )
    parser.add_argument(
        "--time-limit", type=float, default=600, metavar="SECONDS", help="for one model (600)"
    )
    parser.add_argument(
        "--resume", type=Path, metavar="FILE", help="take what an earlier --json report measured"
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of Markdown")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there, not to stdout")
    return parser


def select(patterns: Iterable[str]) -> list[str]:
    """The models of torchvision that match any of the shell patterns, in torchvision's order.

    Raises InputError for a pattern that matches none.
    """
    names = torchvision.models.list_models()
    wanted: set[str] = set()
    for pattern in patterns:
        found = fnmatch.filter(names, pattern)
        if not found:
            raise InputError(f"no model of torchvision matches {pattern!r}")
        wanted.update(found)
    return [name for name in names if name in wanted]


def resumed(path: Path) -> dict[str, Row]:
    """The rows of an earlier report that were measured, by model; raises InputError."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {row["model"]: row for row in rows if "limit" in row}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} cannot be read as a --json report: {error}") from error


def measure_all(
    names: list[str], time_limit: float, known: Mapping[str, Row] | None = None
) -> list[Row]:
    """One row for each model; those that are known or have nothing to fold are not run."""
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    rows: list[Row] = []
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(names))
        for name in names:
            progress.update(task, description=name)
            rows.append((known or {}).get(name) or _row(name, time_limit))
            progress.advance(task)
            if rows[-1].get("reason") == INTERRUPTED:
                break
    return rows + [{"model": n, "norms": 1, "reason": INTERRUPTED} for n in names[len(rows) :]]


def _row(name: str, time_limit: float) -> Row:
    norms = count_norms(outline(name))
    try:
        found = measure(name, time_limit) if norms else {}
    except KeyboardInterrupt:  # what has run is worth its report
        found = {"reason": INTERRUPTED}
    return {"model": name, "norms": norms} | found


def measure(name: str, time_limit: float) -> Row:
    """The figures of one model, or the `reason` there are none."""
    command = [sys.executable, "-W", "ignore", "-m", "tools._fusion_case", name]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=time_limit,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"reason": f"took more than {time_limit:.0f} s"}
    if done.returncode < 0:
        return {"reason": f"was killed by signal {-done.returncode}, for want of memory perhaps"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["without a word"]
        return {"reason": f"failed: {lines[-1][:200]}"}
    return json.loads(done.stdout.splitlines()[-1])


def is_wrong(row: Row) -> bool:
    """Whether a folded model's outputs are another's, or could not be compared."""
    return "limit" in row and (row["error"] is None or row["error"] > row["limit"])


def _selection(rows: list[Row]) -> str:
    every = len(torchvision.models.list_models())
    return "" if len(rows) == every else f"Chosen with `--models` from torchvision's {every}. "


def markdown(rows: list[Row]) -> str:
    """The report, as it stands in docs."""
    ran = [row for row in rows if "limit" in row]
    parts = [_head(rows, ran), _table(ran), _reasons(ran), _not_run(rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(rows: list[Row], ran: list[Row]) -> str:
    norms, folded = (sum(row[key] for row in ran) for key in ("norms", "folded"))
    verdicts = Counter(row["torch"]["verdict"] for row in ran)
    right = sum(row["torch"]["folded"] for row in ran if row["torch"]["verdict"] == "right")
    behind = [
        row["model"]
        for row in ran
        if row["torch"]["verdict"] == "right" and row["torch"]["folded"] > row["folded"]
    ]
    wrong = [row["model"] for row in ran if is_wrong(row)]
    return f"""# Coverage of the folding pass over torchvision

Printed by `python -m tools.fusion_coverage` with torch {torch.__version__}, torchvision \
{torchvision.__version__}, Python {platform.python_version()} on \
{platform.machine()} ({os.cpu_count()} cores, one thread used). Weights are random from a fixed \
seed, statistics are the models' own on the example inputs, scales and shifts are random.

{_selection(rows)}Of {len(rows)} models {len(ran)} ran. The pass folds **{folded} of their \
{norms} batch \
normalisations** and leaves {norms - folded} with a reason; {len(wrong)} models are wrong\
{_listed(wrong)}. `torch.fx.experimental.optimization.fuse` folds {right} in the \
{verdicts["right"]} models it gets right, is wrong on {verdicts["wrong"]} and crashes on \
{verdicts["crash"]}; it folds more on {len(behind)}{_listed(behind)}.

*error* is the root mean square of the difference from the unfolded model's outputs over that of \
the outputs, the largest over the outputs: in float64, where a wrong fold stands out (the limit is \
{EXACT:g}), and in float32 as models are used. A detector may return other boxes in \
float32, where rounding decides; its error is `-` then. *seconds* is the processor time of the \
whole pass in float32, with its runs of the model before and after. \
*groups* are what `fuse_modules` fuses."""


def _listed(names: list[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def _table(ran: list[Row]) -> str:
    head = "| model | BN | folded | left | error | float32 | seconds | torch.fx | groups |"
    rule = "|---|--:|--:|--:|--:|--:|--:|---|--:|"
    return "\n".join([head, rule, *(_line(row) for row in ran)])


def _line(row: Row) -> str:
    theirs = row["torch"]
    verdict = theirs["verdict"]
    other = "crash" if verdict == "crash" else f"{theirs['folded']}, {verdict}"
    exact = row["error"] if row["limit"] == EXACT else None
    cells = [row["model"], row["norms"], row["folded"], row["norms"] - row["folded"]]
    cells += [_number(exact), _number(row["error_float32"]), f"{row['seconds']:.1f}"]
    cells += [other, row["groups"]]
    return f"| {' | '.join(map(str, cells))} |"


def _number(value: float | None) -> str:
    return "-" if value is None or value > 1 else f"{value:.0e}"


def _reasons(ran: list[Row]) -> str:
    reasons: Counter[str] = Counter()
    for row in ran:
        reasons.update(row["left"])
    crashes = Counter(row["torch"]["why"] for row in ran if "why" in row["torch"])
    text = ["## Why batch normalisations are left", ""]
    text += [f"- {count}: {reason}" for reason, count in reasons.most_common()] or ["None is."]
    text += ["", "## Why torch's fuser crashes", ""]
    text += [f"- {count} models: {reason}" for reason, count in crashes.most_common()] or [
        "It does not."
    ]
    return "\n".join(text)


def _not_run(rows: list[Row]) -> str:
    failed = [row for row in rows if "reason" in row]
    empty = [row["model"] for row in rows if not row["norms"]]
    text = ["## Models that did not run", ""]
    text += [f"- {row['model']}: {row['reason']}" for row in failed] or ["None."]
    if empty:
        text += ["", f"{len(empty)} models have no batch normalisation: {', '.join(empty)}."]
    return "\n".join(text)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
