"""Whether `mobileopt tune` finds what an exhaustive search finds, in a third of its time.

    python -m benchmarks.verdicts tuning                        three models, measured here
    python -m benchmarks.verdicts tuning --models mlp --launches 6 --backend mobile lite
    python -m benchmarks.verdicts tuning --keep sessions        and keep the exhaustive samples
    python -m benchmarks.verdicts tuning --recorded sessions/*.json

Each model's variants are exported once. Then an exhaustive search measures all of them to the
end, and a search of its own races them. The choice is judged in the exhaustive search's samples,
which had no part in it. `--recorded` judges kept samples instead of measuring: the race is run on
them launch by launch, and on sessions resampled from their launches with replacement.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from mobileopt import exporter, recipes
from mobileopt.conditions import environment
from mobileopt.errors import InputError, MobileoptError
from mobileopt.exporter import Order
from mobileopt.tuning import recording
from mobileopt.tuning.race import Rules
from mobileopt.tuning.recording import Recording
from mobileopt.variant import SLOTS, Recipe

MODELS = ("mobilenet_v2", "resnet18", "squeezenet1_1")
WORDS = {
    "fusion": ["unfused", "fx"],
    "precision": ["float", "int8_x86"],
    "layout": ["nchw", "nhwc"],
    "backend": ["torchscript", "mobile"],
}
"""What is measured unless told otherwise: 16 variants, in which fast and slow words all meet."""

EXCESS, FRACTION = 0.05, 1 / 3
"""The bar: the choice at most this much slower than the best, in at most this share of the time."""

RESAMPLES = 200


@dataclass(frozen=True)
class Outcome:
    """One model: what both searches chose, and their measuring times in seconds.

    `excess` is how much slower than the exhaustive search's fastest the choice is in its samples.
    """

    model: str
    variants: int
    fastest: str
    choice: str
    excess: float
    exhaustive: float
    tuned: float

    @property
    def fraction(self) -> float:
        """Measuring time of the race over that of the exhaustive search."""
        return self.tuned / self.exhaustive

    @property
    def met(self) -> bool:
        """Whether the choice meets the bar."""
        return self.excess <= EXCESS and self.fraction <= FRACTION


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables as markdown; 1 when a model does not meet the bar."""
    options = _options(argv)
    try:
        outcomes = _recorded(options) if options.recorded else _measured(options)
    except MobileoptError as error:
        print(f"tuning: {error}", file=sys.stderr)
        return 2
    return 0 if all(each.met for each in outcomes) else 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts tuning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", nargs="+", default=MODELS, help=" ".join(MODELS))
    parser.add_argument("--launches", type=int, default=8, help="of each variant (8)")
    parser.add_argument("--min-sqnr", type=float, default=20.0, help="in decibels (20)")
    for slot in SLOTS:
        words = WORDS[slot]
        parser.add_argument(f"--{slot}", nargs="+", default=words, help=" ".join(words))
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep all samples there")
    parser.add_argument("--recorded", type=Path, nargs="+", metavar="FILE", help="judge these")
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help=f"a file ({RESAMPLES})")
    return parser.parse_args(argv)


# --- this machine ---------------------------------------------------------------------------


def _measured(options: argparse.Namespace) -> list[Outcome]:
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tuning-") as folder:
        kept = options.keep or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        outcomes = [_search(model, options, Path(folder), kept) for model in options.models]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"\n### Measured here, {machine}, {time.monotonic() - start:.0f} s in all\n")
    _print(outcomes)
    return outcomes


def _search(model: str, options: argparse.Namespace, folder: Path, kept: Path) -> Outcome:
    order = Order(model, _recipes(options), folder / "artifacts")
    with Console(stderr=True).status(f"exporting {len(order.recipes)} variants of {model}"):
        exporter.export(order)
    session = kept / f"{model}.json"
    _tune(model, options, order.out, "--exhaustive", "--save-session", str(session))
    tuned = _tune(model, options, order.out)
    recorded = recording.read(session)
    return _outcome(recorded, tuned["best"], tuned["measuring_seconds"])


def _recipes(options: argparse.Namespace) -> list[Recipe]:
    named = (Recipe(*words) for words in product(*(getattr(options, slot) for slot in SLOTS)))
    possible = set(recipes.all_recipes())
    return [recipe for recipe in named if recipe in possible]


def _tune(model: str, options: argparse.Namespace, artifacts: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "mobileopt", "tune", model, "--json", *more]
    command += ["--artifacts", str(artifacts), "--launches", str(options.launches)]
    command += [f"--min-sqnr={options.min_sqnr}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment(), check=False)
    if done.returncode:
        raise InputError(f"mobileopt tune {model} ended with exit code {done.returncode}")
    return json.loads(done.stdout)


# --- recorded -------------------------------------------------------------------------------


def _recorded(options: argparse.Namespace) -> list[Outcome]:
    sessions = [recording.read(path) for path in options.recorded]
    outcomes = [replayed(session) for session in sessions]
    print("\n### Races on recorded samples, launch by launch\n")
    _print(outcomes)
    print(f"\n### Races on {options.resamples} sessions resampled from each recording\n")
    rows = [_resampled(session, options.resamples) for session in sessions]
    heads = ["within 5 %", "at most a third", "both", "worst excess", "fraction, median"]
    _table(["model", *heads, "largest"], rows)
    return outcomes


def replayed(session: Recording, seed: int | None = None) -> Outcome:
    """The outcome of a race on recorded samples, on a session resampled from them with a `seed`.

    The choice is judged in what was recorded, the time against the session the race was run on.
    """
    run_on = session
    if seed is not None:
        run_on = recording.resampled(session, random.Random(seed))  # noqa: S311  no secret
    race = recording.replay(run_on, Rules(launches=len(run_on.heats)))
    choice = race.result().best.name
    return replace(_outcome(session, choice, race.seconds), exhaustive=run_on.seconds)


def _outcome(session: Recording, choice: str, seconds: float) -> Outcome:
    return Outcome(
        session.model,
        len(session.candidates),
        session.fastest,
        choice,
        session.excess(choice),
        session.seconds,
        seconds,
    )


def _resampled(session: Recording, resamples: int) -> list[str]:
    seeds = track(range(resamples), session.model, console=Console(stderr=True), transient=True)
    found = [replayed(session, seed) for seed in seeds]
    fractions = sorted(each.fraction for each in found)
    shares = (
        sum(each.excess <= EXCESS for each in found),
        sum(each.fraction <= FRACTION for each in found),
        sum(each.met for each in found),
    )
    return [
        session.model,
        *(f"{share / len(found):.1%}" for share in shares),
        f"{max(each.excess for each in found):.1%}",
        f"{fractions[len(fractions) // 2]:.0%}",
        f"{fractions[-1]:.0%}",
    ]


def _print(outcomes: Sequence[Outcome]) -> None:
    heads = ["exhaustive best", "tuned choice", "slower by", "exhaustive", "tuned", "fraction"]
    rows = [
        [
            each.model,
            str(each.variants),
            each.fastest,
            each.choice,
            f"{each.excess:.1%}",
            f"{each.exhaustive:.1f} s",
            f"{each.tuned:.1f} s",
            f"{each.fraction:.0%}",
            "yes" if each.met else "no",
        ]
        for each in outcomes
    ]
    _table(["model", "variants", *heads, "bar met"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in (heads, ["---"] * len(heads), *rows):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    sys.exit(main())
