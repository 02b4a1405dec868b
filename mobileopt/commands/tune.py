"""Search a model's variants for the fastest on this machine that keeps a fidelity and a size.

Everything that can be exported is; what does not keep the limits is never measured. The rest
races: all are launched side by side, those shown to be slower by more than the threshold and at
most half of the others are dropped, and those left are launched again, until none can be faster
than the leader by more than the threshold, or a share of an exhaustive search's time is used.
Among those that tie the higher fidelity is chosen, then the smaller file, then the simpler recipe.
"""

from __future__ import annotations

import argparse
import math
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from mobileopt import artifact, exporter, recipes, reference
from mobileopt.artifact import MANIFEST, Artifact
from mobileopt.commands import _model_arguments, _progress
from mobileopt.errors import InputError, MeasurementError
from mobileopt.exporter import Exported, Order
from mobileopt.measure import SessionPlan
from mobileopt.report import tuning as report
from mobileopt.report.tuning import Tuning
from mobileopt.report.units import sqnr
from mobileopt.tuning import heats, recording
from mobileopt.tuning.candidates import Candidate, Limits
from mobileopt.tuning.heats import Track
from mobileopt.tuning.race import Race, Rules
from mobileopt.tuning.recording import Recording
from mobileopt.variant import SLOTS, Recipe

HELP = "find the fastest variant that keeps a fidelity and a size"
EXAMPLES = """examples:
  mobileopt tune mobilenet_v2
  mobileopt tune resnet18 --min-sqnr 25 --max-size 12MB
  mobileopt tune resnet18 --backend mobile lite --precision float int8_qnnpack
  mobileopt tune squeezenet1_1 --budget 120 --json > squeezenet1_1.json
  mobileopt tune mypackage.nets:make --input 1,3,224,224 --weights trained.pt
  mobileopt tune mlp --exhaustive --save-session mlp.session.json

exit codes: 0 found, 1 no variant keeps the limits, 2 something was wrong, 130 stopped by Ctrl-C
"""

_EXPORTS = 36  # a process: torch keeps some 30 MB of each quantized model it has scripted

_UNITS = {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9}


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _model_arguments.add(parser)
    parser.add_argument("--batch", type=_positive, default=1, help="images at once (1)")
    _add_limits(parser)
    _add_race(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document, for machines")
    parser.add_argument(
        "--artifacts", type=Path, metavar="FOLDER",
        help="race what `mobileopt export` wrote there instead of exporting",
    )  # fmt: skip
    parser.add_argument(
        "--save-session", type=Path, metavar="FILE", help="write all raw samples, as JSON"
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-sqnr", type=float, default=20.0, metavar="DB", help="fidelity to keep, in dB (20)"
    )
    parser.add_argument(
        "--max-size", type=_size, metavar="SIZE", help="the largest file allowed, as 10MB"
    )
    for slot in SLOTS:
        parser.add_argument(
            f"--{slot}", nargs="+", metavar="WORD", help=f"only these words for {slot}"
        )


def _add_race(parser: argparse.ArgumentParser) -> None:
    rules, plan = Rules(), SessionPlan(rounds=3, samples=3)
    parser.add_argument(
        "--threshold", type=float, default=rules.threshold,
        help=f"relative difference that matters ({rules.threshold:g})",
    )  # fmt: skip
    for name, value, meaning in (
        ("--launches", rules.launches, "times a variant is started afresh, at most"),
        ("--rounds", plan.rounds, "rounds in each launch"),
        ("--samples", plan.samples, "forward passes a variant in each round"),
    ):
        parser.add_argument(name, type=_positive, default=value, help=f"{meaning} ({value})")
    parser.add_argument(
        "--together", type=_positive, help="processes alive at a time (what memory allows, 16)"
    )
    parser.add_argument(
        "--budget", type=float, metavar="SECONDS",
        help="end measuring after about so long, the starting of processes included",
    )  # fmt: skip
    parser.add_argument(
        "--effort", type=float, default=rules.effort, metavar="SHARE",
        help=f"of an exhaustive search's measuring time, at most ({rules.effort:g})",
    )  # fmt: skip
    parser.add_argument("--exhaustive", action="store_true", help="drop nothing; measure it all")
    parser.add_argument("--seed", type=int, default=0, help="draws batches and orders (0)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return number


def _size(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kMG]?B?)", text, re.IGNORECASE)
    unit = found and _UNITS.get(found[2].lower() + ("" if found[2][-1:] in "bB" else "b"))
    if not found or unit is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 10MB, 500kB or 1000000")
    return float(found[1]) * unit


def run(arguments: argparse.Namespace) -> int:
    """Export, race and print."""
    _model_arguments.check(arguments)
    rules, limits = _rules(arguments), Limits(arguments.min_sqnr, arguments.max_size)
    wanted = _recipes(arguments)
    with tempfile.TemporaryDirectory(prefix="mobileopt-") as out:
        start = time.monotonic()
        exported = _exported(arguments, wanted, Path(out))
        kept, left_out = limits.divide(map(_candidate, exported.made))
        spent = time.monotonic() - start
        tuning = Tuning(_name(arguments), limits, rules, kept, left_out, exported.refused, spent)
        if tuning.kept:
            folders = {str(each.variant.recipe): each.folder for each in exported.made}
            race, spent = _race(tuning, folders, arguments)
            _save(race, arguments)
            tuning = replace(tuning, result=race.result(), measure_seconds=spent)
    _print(tuning, arguments)
    if tuning.result is None:
        return 1
    return 130 if tuning.result.end == "interrupted" else 0


def _rules(arguments: argparse.Namespace) -> Rules:
    if arguments.budget is not None and not arguments.budget > 0:
        raise InputError(f"budget {arguments.budget:g} is not a number of seconds above 0")
    return Rules(
        threshold=arguments.threshold,
        launches=arguments.launches,
        together=arguments.together or heats.together(),
        effort=arguments.effort,
        eliminate=not arguments.exhaustive,
        seed=arguments.seed,
    )


def _recipes(arguments: argparse.Namespace) -> list[Recipe]:
    for slot in SLOTS:
        for name in getattr(arguments, slot) or ():
            recipes.word(slot, name)
    found = [each for each in recipes.all_recipes() if _is_wanted(each, arguments)]
    if not found:
        raise InputError("no recipe has all of the words that were asked for")
    return found


def _is_wanted(recipe: Recipe, arguments: argparse.Namespace) -> bool:
    asked = (getattr(arguments, slot) for slot in SLOTS)
    return all(not names or word in names for word, names in zip(recipe.words, asked, strict=True))


def _exported(arguments: argparse.Namespace, wanted: Sequence[Recipe], out: Path) -> Exported:
    if arguments.artifacts is not None:
        return Exported(tuple(_found(arguments.artifacts / _name(arguments), wanted)), {})
    made: list[Artifact] = []
    refused: dict[str, str] = {}
    with _progress.bar() as progress:
        task = progress.add_task(f"exporting {arguments.model}", total=len(wanted))
        for start in range(0, len(wanted), _EXPORTS):
            part = wanted[start : start + _EXPORTS]
            order = _model_arguments.order(arguments, part, out, arguments.batch)
            exported = _export(order, on_each=lambda: progress.advance(task))
            made += exported.made
            refused |= exported.refused
    return Exported(tuple(made), refused)


def _export(order: Order, on_each: Callable[[], object]) -> Exported:
    """Export; a recipe that takes the process down with it is found by halving, and refused."""
    try:
        return exporter.export(order, on_each)
    except MeasurementError as error:
        if len(order.recipes) == 1:
            return Exported((), {str(order.recipes[0]): str(error)})
    middle = len(order.recipes) // 2
    parts = (order.recipes[:middle], order.recipes[middle:])
    first, second = (_export(replace(order, recipes=part), on_each) for part in parts)
    return Exported(first.made + second.made, {**first.refused, **second.refused})


def _name(arguments: argparse.Namespace) -> str:
    return reference.name(arguments.model, arguments.name)


def _found(folder: Path, wanted: Sequence[Recipe]) -> Iterator[Artifact]:
    present = [recipe for recipe in wanted if (folder / str(recipe) / MANIFEST).is_file()]
    if not present:
        raise InputError(f"{folder} holds no exported variant of those asked for")
    yield from (artifact.read(folder / str(recipe)) for recipe in present)


def _candidate(made: Artifact) -> Candidate:
    return Candidate(made.variant.recipe, sqnr(made.fidelity.noise), made.size)


def _race(
    tuning: Tuning, folders: dict[str, Path], arguments: argparse.Namespace
) -> tuple[Race, float]:
    start = time.monotonic()
    deadline = math.inf if arguments.budget is None else start + arguments.budget
    plan = SessionPlan(rounds=arguments.rounds, samples=arguments.samples, seed=arguments.seed)
    race = Race(tuning.kept, tuning.rules)
    with _progress.bar() as progress:
        task = progress.add_task("")
        track = Track(
            folders,
            plan,
            deadline,
            on_round=lambda: progress.advance(task),
            on_heat=lambda race: _tell(race, plan, progress),
        )
        _tell(race, plan, progress)
        race = heats.run(race, track)
    if race.end == "interrupted" and race.leader is None:
        raise KeyboardInterrupt  # there is nothing to keep
    return race, time.monotonic() - start


def _tell(race: Race, plan: SessionPlan, progress: Progress) -> None:
    task = progress.tasks[0]
    ask = race.ask()
    left = (race.rules.launches - len(race.heats)) * len(ask.batches) * plan.rounds if ask else 0
    text = f"launch {len(race.heats) + 1}: {len(race.running)} of {len(race.candidates)} variants"
    progress.update(task.id, description=text, total=task.completed + left)


def _save(race: Race, arguments: argparse.Namespace) -> None:
    if arguments.save_session is None:
        return
    machine = {"processor": _processor(), "system": platform.platform()}
    kept = Recording(_name(arguments), machine, race.candidates, race.heats)
    recording.write(kept, arguments.save_session)


def _processor() -> str:
    lines: Sequence[str] = ()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")


def _print(tuning: Tuning, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(report.dump(tuning))
    else:
        report.show(tuning, Console(width=None if sys.stdout.isatty() else 200))
