"""Measure a commit's variants on phones, and put the samples into the store.

Each phone is measured in a thread of its own. The variants of a model run in turns, in rounds;
they are stored when their session ends, so nothing that was finished is ever lost: run the same
command again and it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import FrameType

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mobileopt.adb import Phone, Server, fleet
from mobileopt.collection import FAILED, PRESENT, SKIPPED, STORED, Collection, Order, Outcome
from mobileopt.collection.collector import present
from mobileopt.collection.exports import prune
from mobileopt.collection.order import not_for_phones
from mobileopt.collection.storing import Filing, environment
from mobileopt.device import Device
from mobileopt.errors import InputError, MobileoptError
from mobileopt.report.units import milliseconds
from mobileopt.store import Store
from tools import _collect_order
from tools._collect_order import latency, prepare, suite
from tools._collect_progress import watching

__all__ = ["Summary", "collect", "latency", "main", "prepare", "select", "show", "suite"]

ALL_STORED, SOME_FAILED, NOTHING, INTERRUPTED = 0, 1, 2, 130


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
    options = _collect_order.parser(__doc__ or "").parse_args(argv)
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
    order: Order,
    server: Server,
    wanted: Sequence[str] = (),
    *,
    unreachable: Mapping[str, str] | None = None,
    console: Console | None = None,
) -> Summary:
    """Collect on the devices `wanted` names, all of them when it names none.

    `unreachable` are addresses that could not be connected, with reasons; they stop nothing.
    Raises InputError for a name nobody has.
    """
    devices, unusable = select(server, wanted, unreachable)
    if not devices:
        return Summary((), unusable)
    prune(order.exports)
    with watching(console or Console(stderr=True, quiet=True)) as watch:
        outcomes = Collection(order, watch).run(devices)
    return Summary(outcomes, unusable)


def select(
    server: Server, wanted: Sequence[str] = (), unreachable: Mapping[str, str] | None = None
) -> tuple[list[tuple[Device, Phone]], dict[str, str]]:
    """The devices behind a server that `wanted` names, and what cannot be used, with reasons.

    A device is named by its hardware serial, its name, or any of its transports' serials. Raises
    InputError for a name that is neither a device's nor one of the `unreachable` addresses.
    """
    usable: list[tuple[Device, Phone]] = []
    unusable = dict(unreachable or {})
    missing = set(wanted) - unusable.keys()
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


def _run(options: argparse.Namespace, console: Console) -> int:
    server = Server.at(options.server)
    order = _collect_order.order(options)
    unreachable = fleet.connect(server, options.connect)
    _check_choice(options, server)
    if options.list:
        return _list(options, order, server, unreachable)
    summary = collect(order, server, options.device, unreachable=unreachable, console=console)
    _show(options, order, summary, console)
    if not summary.outcomes and not summary.unusable:
        raise InputError("no device is connected; python -m tools.devices says more")
    return summary.code


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


def _list(
    options: argparse.Namespace, order: Order, server: Server, unreachable: Mapping[str, str]
) -> int:
    devices, unusable = select(server, options.device, unreachable)
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


def _show(options: argparse.Namespace, order: Order, summary: Summary, console: Console) -> None:
    if options.json:
        told = {
            "outcomes": [asdict(each) for each in summary.outcomes],
            "unusable": summary.unusable,
            "overhead": summary.overhead,
        }
        print(json.dumps(told, indent=2))
        return
    show(summary, console)
    if hidden := _hidden(order):
        console.print(Text(hidden, style="yellow"), soft_wrap=True)


def _hidden(order: Order) -> str:
    """Why asv does not show what was stored, or nothing."""
    try:
        listed = json.loads((order.store / "benchmarks.json").read_text(encoding="utf-8"))
        version = listed[order.benchmark.name]["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if version == order.benchmark.version:
        return ""
    return (
        f"{order.store / 'benchmarks.json'} lists version {version} of {order.benchmark.name}, so "
        f"asv hides results of version {order.benchmark.version}; "
        "asv run --bench just-discover lists it anew"
    )


def show(summary: Summary, console: Console) -> None:
    """Print a table of the outcomes, and on `console` what else there is to say."""
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


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


if __name__ == "__main__":
    sys.exit(main())
