"""What `tools.collect` is asked for: the suite's variants, the command line, and an order of it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import _suite
from mobileopt.android_build.cache import Cache
from mobileopt.collection import Order, resolve
from mobileopt.collection.exports import SECONDS
from mobileopt.collection.order import not_for_phones
from mobileopt.collection.programs import cached, given
from mobileopt.collection.storing import versions
from mobileopt.errors import InputError, UnknownNameError
from mobileopt.run import Plan
from mobileopt.sampling import Budget
from mobileopt.store import Benchmark
from mobileopt.variant import Recipe, Variant
from tools.build import default_cache

REFERENCES = (
    Variant.parse("annotated_conv_bn_relu/unfused-float-nchw-torchscript"),
    Variant.parse("annotated_conv_bn_relu/fused-float-nhwc-lite"),
)
"""Run before and after each session; the first that a program takes. No pass touches the first."""

_DAY = 86400.0

EXAMPLES = """examples:
  python -m tools.collect                              the phone that is connected, this commit
  python -m tools.collect --device pixel_8-3f2a9c01 --device 192.168.1.20:5555
  python -m tools.collect --all --model mobilenet_v2 --recipe fused-float-nhwc-mobile
  python -m tools.collect --commit v1.2 --binary build_android/bin/speed_benchmark_torch
  python -m tools.collect --all --list                 what would be measured, and what is there
  python -m tools.collect --all --json | jq '.outcomes[] | select(.status == "failed")'

exit codes: 0 everything asked for is in the store; 1 something failed, with its reason;
2 nothing was done, with the reason; 130 stopped by Ctrl-C, what was finished is stored.
"""


def suite(models: Sequence[str] = (), recipes: Sequence[str] = ()) -> tuple[Variant, ...]:
    """The suite's variants, of these models and recipes only; without recipes those of phones.

    Raises UnknownNameError for a model or a recipe that the suite does not have.
    """
    for what, names, known in (
        ("model", models, _suite.MODELS),
        ("recipe", recipes, _suite.RECIPES),
    ):
        for name in names:
            if name not in known:
                raise UnknownNameError(f"{what} of the suite", name, known)
    return tuple(
        Variant(model, recipe)
        for model in _suite.MODELS
        if model in (models or _suite.MODELS)
        for recipe in map(Recipe.parse, recipes or _suite.RECIPES)
        if _suite.not_measured(model, str(recipe)) is None
        and (recipes or not not_for_phones(recipe))
    )


def latency() -> Benchmark:
    """The suite's latency benchmark: phones and hosts share its graphs."""
    from benchmarks.latency import time_forward

    axes = tuple(tuple(axis) for axis in _suite.PARAMS)
    names = tuple(_suite.PARAM_NAMES)
    version = str(time_forward.version)  # pyright: ignore[reportFunctionMemberAccess]  asv's way
    return Benchmark("latency.time_forward", version, "seconds", axes, names)


def prepare(
    variants: Sequence[Variant], *, commit: str = "HEAD", store: Path = Path("results"), **more: Any
) -> Order:
    """An order of these variants at a commit of this repository; `more` are fields of Order.

    Raises InputError for a commit that does not exist.
    """
    kept = cache()
    defaults = {
        "exports": kept / "exports",
        "locks": kept / "phones",
        "repository": Path.cwd(),
        "versions": versions(),
        "cached": partial(cached, Cache(default_cache())),
        "references": REFERENCES,
    }
    found = resolve(Path.cwd(), commit)
    return Order(
        store=store, commit=found, benchmark=latency(), variants=tuple(variants), **defaults | more
    )


def parser(description: str) -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m tools.collect",
        description=description,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    where = made.add_argument_group("where")
    where.add_argument(
        "--device", action="append", default=[], metavar="NAME", help="serial or name; repeatable"
    )
    where.add_argument("--all", action="store_true", help="every device that is connected")
    where.add_argument("--connect", action="append", default=[], metavar="HOST:PORT")
    where.add_argument("--server", default="", metavar="HOST:PORT", help="adb's server (this one)")
    what = made.add_argument_group("what")
    what.add_argument("--commit", default="HEAD", help="exported by its own code (%(default)s)")
    what.add_argument("--model", action="append", default=[], help="repeatable (all of the suite)")
    what.add_argument("--recipe", action="append", default=[], help="repeatable (all of phones)")
    what.add_argument(
        "--binary",
        action="append",
        default=[],
        metavar="[RUNNER=]PATH",
        help="repeatable (what python -m tools.build made)",
    )
    what.add_argument("--redo", action="store_true", help="also what the store has")
    _how(made.add_argument_group("how"))
    out = made.add_argument_group("output")
    out.add_argument("--store", type=Path, default=Path("results"), metavar="DIR")
    out.add_argument("--list", action="store_true", help="only list what would be measured")
    out.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return made


def _how(group: Any) -> None:
    budget, plan = Budget(), Plan(iterations=10, warmup=10)
    group.add_argument("--iterations", type=int, default=plan.iterations, help="(%(default)s)")
    group.add_argument("--warmup", type=int, default=plan.warmup, help="at least (%(default)s)")
    group.add_argument("--threads", type=int, default=plan.threads, help="(%(default)s)")
    group.add_argument(
        "--cores", default="fastest", help="fastest, any, or numbers as 4,5 (%(default)s)"
    )
    group.add_argument("--caching-allocator", action="store_true")
    group.add_argument("--rounds", type=int, default=budget.rounds, help="at most (%(default)s)")
    group.add_argument(
        "--precision",
        type=float,
        default=budget.precision,
        help="half width of a ratio's interval that ends a session (%(default)s)",
    )
    group.add_argument(
        "--seconds", type=float, default=budget.seconds, help="at most a session (%(default)s)"
    )
    group.add_argument("--baseline", metavar="RECIPE", help="(the plainest that is measured)")
    group.add_argument("--no-reference", action="store_true", help="no probe around sessions")
    group.add_argument("--deadline", type=float, default=300.0, help="s a launch (%(default)s)")
    group.add_argument(
        "--export-deadline", type=float, default=SECONDS, help="s an export (%(default)s)"
    )
    group.add_argument("--patience", type=float, default=60.0, help="s for a lost phone")


def order(options: argparse.Namespace) -> Order:
    """What a command line orders; raises InputError for what cannot be."""
    cores = _cores(options.cores)
    if min(options.iterations, options.threads) < 1 or options.warmup < 0:
        raise InputError("--iterations and --threads are at least 1, --warmup at least 0")
    for name in ("deadline", "export_deadline", "patience"):
        _seconds(name, getattr(options, name))
    plan = Plan(
        options.iterations, options.warmup, options.threads, cores, options.caching_allocator
    )
    defaults = Budget()
    limit = max(defaults.warmup, options.warmup)
    budget = Budget(options.rounds, options.precision, options.seconds, limit)
    made = prepare(
        suite(options.model, options.recipe),
        commit=options.commit,
        store=options.store,
        programs=tuple(map(given, options.binary)),
        plan=plan,
        pin=options.cores != "any",
        budget=budget,
        baseline=Recipe.parse(options.baseline) if options.baseline else None,
        redo=options.redo,
        deadline=options.deadline,
        export_deadline=options.export_deadline,
        patience=options.patience,
    )
    return replace(made, references=()) if options.no_reference else made


def _seconds(name: str, value: float) -> None:
    """Refuse what is no time to wait: NaN passes no comparison, and no phone takes days."""
    least = 0 if name == "patience" else 1
    if not least <= value <= _DAY:
        option = "--" + name.replace("_", "-")
        raise InputError(f"{option} {value:g} is not between {least} and {_DAY:g} seconds")


def _cores(text: str) -> tuple[int, ...]:
    if text in ("fastest", "any"):
        return ()
    words = text.split(",")
    if not all(word.isdecimal() and int(word) < 1024 for word in words):
        raise InputError(f"--cores {text[:40]!r} is neither fastest, any, nor numbers as 4,5,6")
    return tuple(int(word) for word in words)


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mobileopt"
