"""Measure a commit's variants on phones, and put the samples into the store.

Each phone is measured in a thread of its own. The variants of a model run in turns, in rounds;
they are stored when their session ends, so nothing that was finished is ever lost: run the same
command again and it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks import _suite
from mobileopt.adb import Phone, Server, fleet
from mobileopt.android_build.cache import Cache
from mobileopt.collection import (
    FAILED,
    PRESENT,
    SKIPPED,
    STORED,
    Collection,
    Order,
    Outcome,
    resolve,
)
from mobileopt.collection.collector import not_for_phones, present
from mobileopt.collection.exports import prune
from mobileopt.collection.programs import cached, given
from mobileopt.collection.storing import Filing, environment, versions
from mobileopt.device import Device
from mobileopt.errors import InputError, MobileoptError, UnknownNameError
from mobileopt.report.units import milliseconds
from mobileopt.run import Plan
from mobileopt.sampling import Budget
from mobileopt.store import Benchmark, Store
from mobileopt.variant import Recipe, Variant
from tools._collect_progress import watching
from tools.build import default_cache

ALL_STORED, SOME_FAILED, NOTHING, INTERRUPTED = 0, 1, 2, 130

REFERENCES = (
    Variant.parse("annotated_conv_bn_relu/unfused-float-nchw-torchscript"),
    Variant.parse("annotated_conv_bn_relu/fused-float-nhwc-lite"),
)
"""Run before and after each session; the first that a program takes. No pass touches the first."""

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


class _Terminated(KeyboardInterrupt):
    """SIGTERM, told from Ctrl-C by its exit code alone."""


@dataclass(frozen=True)
class Summary:
    """What a collection did: the outcome of each variant on each device, and the devices that
    could not be used at all, with the reason."""

    outcomes: tuple[Outcome, ...]
    unusable: dict[str, str] = field(default_factory=dict[str, str])

    def count(self, status: str) -> int:
        """How many outcomes have a status."""
        return sum(each.status == status for each in self.outcomes)

    @property
    def overhead(self) -> float | None:
        """The largest overhead of a variant, in seconds; None when nothing ran."""
        return max((e.overhead for e in self.outcomes if e.overhead is not None), default=None)

    @property
    def code(self) -> int:
        """The exit code."""
        if not self.outcomes:
            return NOTHING
        return SOME_FAILED if self.unusable or self.count(FAILED) else ALL_STORED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    options = _parser().parse_args(argv)
    console = Console(stderr=True)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(options, console)
    except MobileoptError as error:
        return _fail(options, console, str(error), error.exit_code)
    except _Terminated:
        return _fail(options, console, "terminated; what was finished is stored", 143)
    except KeyboardInterrupt:
        return _fail(options, console, "stopped; what was finished is stored", INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def collect(
    order: Order, server: Server, wanted: Sequence[str] = (), *, console: Console | None = None
) -> Summary:
    """Collect on the devices `wanted` names, all of them when it names none.

    Raises InputError for a name nobody has, and when nothing is connected.
    """
    devices, unusable = select(server, wanted)
    if not devices:
        return Summary((), unusable)
    prune(order.exports)
    with watching(console or Console(stderr=True, quiet=True)) as watch:
        outcomes = Collection(order, watch).run(devices)
    return Summary(outcomes, unusable)


def select(
    server: Server, wanted: Sequence[str] = ()
) -> tuple[list[tuple[Device, Phone]], dict[str, str]]:
    """The devices behind a server that `wanted` names, and what cannot be used, with reasons.

    A device is named by its hardware serial, its name, or any of its transports' serials.
    """
    usable: list[tuple[Device, Phone]] = []
    unusable: dict[str, str] = {}
    missing = set(wanted)
    found = fleet.find(server)
    for each in found:
        names = {transport.serial for transport in each.transports}
        names |= {each.device.serial, each.device.name} if each.device else set()
        if wanted and not names & set(wanted):
            continue
        missing -= names
        if each.device and each.phone:
            usable.append((each.device, each.phone))
        else:
            unusable[each.device.name if each.device else sorted(names)[0]] = each.problem
    if missing:
        raise InputError(_unknown(sorted(missing), [e.device.name for e in found if e.device]))
    return usable, unusable


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


def _run(options: argparse.Namespace, console: Console) -> int:
    server = _server(options.server)
    order = _order(options)
    for address in options.connect:
        server.connect(address)
    _check_choice(options, server)
    if options.list:
        return _list(options, order, server)
    summary = collect(order, server, options.device, console=console)
    _show(options, summary, console)
    if not summary.outcomes and not summary.unusable:
        raise InputError("no device is connected; python -m tools.devices says more")
    return summary.code


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m tools.collect",
        description=__doc__,
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
        help="repeatable (the newest that python -m tools.build made)",
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
    group.add_argument("--patience", type=float, default=60.0, help="s for a lost phone")


def _order(options: argparse.Namespace) -> Order:
    cores = _cores(options.cores)
    if min(options.iterations, options.threads) < 1 or options.warmup < 0:
        raise InputError("--iterations and --threads are at least 1, --warmup at least 0")
    plan = Plan(
        options.iterations, options.warmup, options.threads, cores, options.caching_allocator
    )
    defaults = Budget()
    limit = max(defaults.warmup, options.warmup)
    budget = Budget(options.rounds, options.precision, options.seconds, limit)
    order = prepare(
        suite(options.model, options.recipe),
        commit=options.commit,
        store=options.store,
        programs=tuple(map(given, options.binary)),
        plan=plan,
        cores="any" if options.cores == "any" else "fastest",
        budget=budget,
        baseline=Recipe.parse(options.baseline) if options.baseline else None,
        redo=options.redo,
        deadline=options.deadline,
        patience=options.patience,
    )
    return replace(order, references=()) if options.no_reference else order


def _cores(text: str) -> tuple[int, ...]:
    if text in ("fastest", "any"):
        return ()
    words = text.split(",")
    if not all(word.isdecimal() and int(word) < 1024 for word in words):
        raise InputError(f"--cores {text[:40]!r} is neither fastest, any, nor numbers as 4,5,6")
    return tuple(int(word) for word in words)


def _server(text: str) -> Server:
    host, colon, port = text.rpartition(":")
    if text and not (colon and port.isdecimal()):
        raise InputError(f"--server {text[:80]!r} is not HOST:PORT, as lab-3:5037")
    return Server(host, int(port or 0)) if text else Server()


def _check_choice(options: argparse.Namespace, server: Server) -> None:
    """Without --device or --all there must be one device to mean."""
    if options.device or options.all:
        return
    names = [each.device.name for each in fleet.find(server) if each.device]
    if len(names) > 1:
        raise InputError(
            f"several devices are connected: {', '.join(names)}; name some with --device, "
            "or say --all"
        )


def _unknown(missing: Sequence[str], names: Sequence[str]) -> str:
    shown = ", ".join(repr(each[:80]) for each in missing)
    return f"no device {shown} is connected; connected: {', '.join(names) or 'none'}"


def _list(options: argparse.Namespace, order: Order, server: Server) -> int:
    devices, unusable = select(server, options.device)
    rows: list[dict[str, str]] = []
    for device, _ in devices:
        filing = Filing(device, order.commit, environment(order.versions), order.benchmark)
        there = present(Store(order.store), filing)
        for each in order.variants:
            why = not_for_phones(each.recipe)
            status = SKIPPED if why else PRESENT if each in there and not order.redo else "missing"
            rows.append(
                {"device": device.name, "variant": str(each), "status": status, "reason": why}
            )
    if options.json:
        print(json.dumps({"commit": order.commit.hash, "variants": rows, "unusable": unusable}))
    else:
        for row in rows:
            print(f"{row['device']}  {row['variant']}  {row['status']}  {row['reason']}".rstrip())
        for name, why in unusable.items():
            print(f"{_plain(name)}  cannot be used: {_plain(why)}")
    return ALL_STORED if devices else NOTHING


def _show(options: argparse.Namespace, summary: Summary, console: Console) -> None:
    if options.json:
        told = {
            "outcomes": [asdict(each) for each in summary.outcomes],
            "unusable": summary.unusable,
            "overhead": summary.overhead,
        }
        print(json.dumps(told, indent=2))
        return
    if summary.outcomes:
        Console(width=None if sys.stdout.isatty() else 160).print(_table(summary))
    for name, why in summary.unusable.items():
        console.print(Text(f"{_plain(name)} cannot be used: {_plain(why)}", style="red"))
    console.print(Text(_sentence(summary)))


def _table(summary: Summary) -> Table:
    table = Table()
    for heading in ("Device", "Variant", "Result", "Latency", "Validity"):
        table.add_column(heading, overflow="fold")
    for each in summary.outcomes:
        table.add_row(
            Text(each.device),
            Text(each.variant),
            Text(each.status, style={FAILED: "bold red", STORED: "green"}.get(each.status, "")),
            milliseconds(each.seconds) if each.seconds is not None else "",
            Text(_plain(f"{each.validity} {each.reason}".strip())),
        )
    return table


def _sentence(summary: Summary) -> str:
    counts = ", ".join(
        f"{summary.count(status)} {status}" for status in (STORED, PRESENT, SKIPPED, FAILED)
    )
    overhead = summary.overhead
    return counts if overhead is None else f"{counts}; overhead {overhead:.2f} s a variant at most"


def _fail(options: argparse.Namespace, console: Console, says: str, code: int) -> int:
    if options.json:
        print(json.dumps({"error": says, "outcomes": []}))
    else:
        console.print(Text.assemble(("error: ", "bold red"), _plain(says)), soft_wrap=True)
    return code


def _plain(text: str) -> str:
    """Text that cannot steer a terminal."""
    return "".join(each for each in text if each.isprintable() or each == "\n")


def cache() -> Path:
    """This user's cache of exports, and the folder of the phones' locks."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mobileopt"


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


if __name__ == "__main__":
    sys.exit(main())
