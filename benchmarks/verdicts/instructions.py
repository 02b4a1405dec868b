"""How well counts of instructions repeat: the same artifacts counted in several processes.

    python -m benchmarks.verdicts instructions               three runs of the suite's list
    python -m benchmarks.verdicts instructions --runs 5 --models annotated_conv_bn_relu

Exits with 1 when the counts of a variant lie further apart than `BAR`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence

from rich.console import Console
from rich.progress import Progress

from benchmarks import _suite
from mobileopt.metrics import instructions

BAR = 0.001
"""The largest count over the smallest, less one, of one variant over all runs."""


def main(argv: Sequence[str]) -> int:
    """Print the counts of each run and their spread as markdown; 0 within the bar, 1 beyond."""
    options = _options(argv)
    with tempfile.TemporaryDirectory(prefix="mobileopt-") as folder:
        made = _suite.exported(folder, options.models, _suite.COUNTED_RECIPES)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("counting", total=options.runs * len(made))
            runs = [
                instructions.count(list(made.values()), on_each=lambda: progress.advance(task))
                for _ in range(options.runs)
            ]
    counts = list(zip(*runs, strict=True))
    _print([f"{model}/{recipe}" for model, recipe in made], counts)
    return int(max(map(spread, counts)) > BAR)


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=3, help="processes that count (3)")
    parser.add_argument(
        "--models", nargs="+", default=_suite.COUNTED_MODELS, choices=_suite.COUNTED_MODELS
    )
    return parser.parse_args(argv)


def spread(counts: Sequence[int]) -> float:
    """The largest count over the smallest, less one."""
    return max(counts) / min(counts) - 1


def _print(names: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
    runs = [f"run {number}" for number in range(1, len(counts[0]) + 1)]
    print("| variant | " + " | ".join(runs) + " | spread |")
    print("|---" * (len(runs) + 2) + "|")
    for name, each in zip(names, counts, strict=True):
        cells = " | ".join(f"{count:,}" for count in each)
        print(f"| {name} | {cells} | {spread(each):.4%} |")
