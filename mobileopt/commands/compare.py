"""Measure variants of a model on this machine, interleaved round by round, and say which pays."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from mobileopt import exporter, measure, recipes, verdicts
from mobileopt.artifact import Artifact
from mobileopt.commands import _model_arguments, _progress
from mobileopt.conditions import HOST, Memory
from mobileopt.errors import CapabilityError, CombinationError
from mobileopt.exporter import Exported, Order
from mobileopt.measure import SessionPlan
from mobileopt.report import json as json_report
from mobileopt.report import terminal
from mobileopt.runners.host import Allocations, Conditioned
from mobileopt.variant import BASELINE, Recipe
from mobileopt.verdicts import Conditions, Verdicts

HELP = "measure variants of a model here and say which pays"
EXAMPLES = """examples:
  mobileopt compare mobilenet_v2
  mobileopt compare resnet18 --batch 10
  mobileopt compare mlp --variants unfused-float-nchw-mobile fused-int8_x86-nchw-torchscript
  mobileopt compare resnet18 --json > resnet18.json
  mobileopt compare mobilenet_v2 --memory refilled-kept fresh-kept reused-default
  mobileopt compare mypackage.nets:make --input 1,3,224,224 --weights trained.pt
  mobileopt compare mypackage.nets:Ranker --input 1,16:int64:30522 --input 1,16
  mobileopt compare detector.pt2 --calibration mypackage.data:batches
"""

_MEMORY_RECIPES = [
    Recipe(backend="torchscript"),
    Recipe(layout="nhwc", backend="mobile"),
]
"""Each is measured under every condition, in a process of its own: so few by default."""

_TUTORIAL_BATCHES = {"resnet18": [1, 10]}  # the FX fusion tutorial times ResNet-18 on ten images


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _model_arguments.add(parser)
    parser.add_argument("--variants", nargs="+", metavar="RECIPE", help="measure these recipes")
    parser.add_argument(
        "--memory", nargs="+", metavar="CONDITION", default=(),
        help="also measure under these: input-allocator, of reused, refilled or fresh and kept or "
        "default, as fresh-kept; without --variants, of few recipes",
    )  # fmt: skip
    parser.add_argument("--batch", nargs="+", type=_positive, help="images at once (default 1)")
    _add_plan(parser)
    _add_judgement(parser)
    parser.add_argument("--json", action="store_true", help="a line of JSON for each batch size")


def _add_plan(parser: argparse.ArgumentParser) -> None:
    plan = SessionPlan()
    for name, value, meaning in (
        ("--launches", plan.launches, "times every process is started afresh"),
        ("--rounds", plan.rounds, "rounds in each launch"),
        ("--samples", plan.samples, "forward passes a variant in each round"),
    ):
        parser.add_argument(name, type=_positive, default=value, help=f"{meaning} ({value})")
    parser.add_argument("--seed", type=int, default=0, help="draws the order within rounds (0)")


def _add_judgement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threshold", type=float, default=0.03, help="relative difference that matters (0.03)"
    )
    parser.add_argument(
        "--min-sqnr", type=float, default=20.0, metavar="DB",
        help="fidelity the advised variant must keep, in dB (20)",
    )  # fmt: skip


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Export, measure, judge and print, one batch size after the other."""
    _model_arguments.check(arguments)
    named = [recipes.parse(text) for text in arguments.variants or ()]
    memories = _memories(arguments.memory)
    interrupted = False
    for batch in arguments.batch or _TUTORIAL_BATCHES.get(arguments.model, [1]):
        found = _measure(arguments, named, memories, batch)
        _print(found, arguments)
        interrupted |= found.record.interrupted
        if interrupted:
            break
    return 130 if interrupted else 0


def _memories(texts: Sequence[str]) -> list[Memory]:
    return list(dict.fromkeys([HOST, *map(Memory.parse, texts)]))


def _measure(
    arguments: argparse.Namespace, named: list[Recipe], memories: list[Memory], batch: int
) -> Verdicts:
    suggested = _MEMORY_RECIPES if len(memories) > 1 else recipes.suggested(batch)
    wanted = list(dict.fromkeys([BASELINE, *(named or suggested)]))
    with tempfile.TemporaryDirectory(prefix="mobileopt-") as out:
        order = _model_arguments.order(arguments, wanted, Path(out), batch)
        exported = _export(order)
        refused = exported.refused
        if named and refused:
            raise CombinationError(next(iter(refused.values())))
        if str(BASELINE) in refused:
            raise CapabilityError(refused[str(BASELINE)])
        subjects = _subjects(exported.made, memories)
        record = _session(subjects, _plan(arguments))
        counted = _counted(subjects) if len(memories) > 1 and not record.interrupted else {}
    return verdicts.judge(
        exported.made,
        record,
        threshold=arguments.threshold,
        min_sqnr=arguments.min_sqnr,
        refused=refused,
        conditions=Conditions(memories, counted),
    )


def _plan(arguments: argparse.Namespace) -> SessionPlan:
    return SessionPlan(arguments.launches, arguments.rounds, arguments.samples, seed=arguments.seed)


def _export(order: Order) -> Exported:
    with _progress.bar() as progress:
        task = progress.add_task(f"exporting {order.model}", total=len(order.recipes))
        return exporter.export(order, on_each=lambda: progress.advance(task))


def _subjects(made: Sequence[Artifact], memories: Sequence[Memory]) -> dict[str, Conditioned]:
    return {
        verdicts.name(each.variant.recipe, memory): Conditioned(each.folder, memory)
        for each in made
        for memory in memories
    }


def _session(subjects: Mapping[str, Conditioned], plan: SessionPlan) -> measure.Record:
    with _progress.bar() as progress:
        task = progress.add_task(f"measuring {len(subjects)} variants", total=plan.total_rounds)
        return measure.session(subjects, plan, on_round=lambda: progress.advance(task))


def _counted(subjects: Mapping[str, Conditioned]) -> dict[str, Allocations]:
    with _progress.bar() as progress:
        task = progress.add_task("counting allocations", total=len(subjects))
        return measure.allocations(subjects, on_each=lambda: progress.advance(task))


def _print(found: Verdicts, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json_report.dump(found))
    else:
        terminal.show(found, Console(width=None if sys.stdout.isatty() else 200))
