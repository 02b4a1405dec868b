"""What is connected, what it is, how it is, and whether it may be measured now.

    python -m tools.devices                         # the adb server of this computer
    python -m tools.devices --json | jq '.[].name'
    python -m tools.devices --connect 192.168.1.20:5555
    python -m tools.devices --server lab-3:5037

Exit code 0: every device found may be measured now. 1: some may not, and the table says why.
2: the question could not be answered. 3: nothing is connected.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mobileopt.adb import Server, Transport, claim, fleet, performance, probe
from mobileopt.adb.fleet import Found
from mobileopt.device import State
from mobileopt.errors import DeviceError, MobileoptError
from mobileopt.validity import blockers

ALL_USABLE, SOME_NOT, FAILED, NONE_FOUND, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True)
class Row:
    """A device, its state where it could be read, and what speaks against measuring on it.

    `held` says who measures on it now, `fixed` whether it is in fixed-performance mode, by
    whoever measures or left by one that was killed.
    """

    found: Found
    state: State | None
    reasons: tuple[str, ...]
    held: str = ""
    fixed: bool | None = None

    @property
    def usable(self) -> bool:
        """Whether it may be measured now."""
        return not self.reasons


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    options = _parser().parse_args(arguments)
    try:
        rows = _look(Server.at(options.server), options.connect)
    except KeyboardInterrupt:
        return INTERRUPTED
    except MobileoptError as error:
        Console(stderr=True).print(Text(f"error: {error}"), style="red")
        return FAILED
    if options.json:
        print(json.dumps([_record(row) for row in rows], indent=2))
    elif rows:
        Console().print(_table(rows))
    else:
        Console(stderr=True).print(
            "No device is connected. USB debugging on? Cable able to carry data?"
        )
    if not rows:
        return NONE_FOUND
    return ALL_USABLE if all(row.usable for row in rows) else SOME_NOT


def _parser() -> argparse.ArgumentParser:
    text = __doc__ or ""
    parser = argparse.ArgumentParser(
        prog="python -m tools.devices",
        description=text.partition("\n")[0],
        epilog=text.partition("\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--server", default="", metavar="HOST:PORT", help="adb's server (this one)")
    parser.add_argument(
        "--connect",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="connect to a phone over the network first; may be repeated",
    )
    return parser


def _look(server: Server, addresses: Sequence[str]) -> tuple[Row, ...]:
    with Console(stderr=True).status("Asking the devices ..."):
        unreachable = fleet.connect(server, addresses)
        found = fleet.find(server)
        with ThreadPoolExecutor(max_workers=max(1, len(found))) as pool:
            return (*pool.map(_row, found), *_absent(unreachable, found))


def _absent(unreachable: Mapping[str, str], found: Sequence[Found]) -> Iterator[Row]:
    """A row for each address nobody answers at, but those the server lists all the same."""
    listed = {transport.serial for each in found for transport in each.transports}
    for address, problem in unreachable.items():
        if address not in listed:
            transports = (Transport(address, "absent", None),)
            yield Row(Found(None, None, transports, problem), None, (problem,))


def _row(found: Found) -> Row:
    if found.phone is None or found.device is None:
        return Row(found, None, (found.problem,))
    try:
        state = probe.state(found.phone)
        held = claim.holder(found.phone, found.device.name)
        fixed = performance.held(found.phone)
    except DeviceError as error:
        return Row(found, None, (str(error),))
    reasons = (each.reason for each in blockers(found.device, state))
    return Row(found, state, (*([held] if held else []), *reasons), held, fixed)


def _record(row: Row) -> dict[str, object]:
    device = row.found.device
    return {
        "name": device.name if device else None,
        "device": asdict(device) if device else None,
        "transports": [asdict(each) for each in row.found.transports],
        "state": row.state.as_dict() if row.state else None,
        "held": row.held or None,
        "fixed_performance": row.fixed,
        "usable": row.usable,
        "reasons": list(row.reasons),
    }


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title=None, show_lines=len(rows) > 1)
    for heading in ("Device", "What it is", "Connected as", "State", "May be measured now"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        device = row.found.device
        verdict = Text("yes", style="green") if row.usable else Text("no", style="bold red")
        for reason in row.reasons:
            verdict.append(f"\n{_plain(reason)}", style="yellow")
        table.add_row(
            Text(device.name if device else "?"),
            Text(_identity(row)),
            Text(_plain("\n".join(each.serial for each in row.found.transports))),
            Text(_condition(row)),
            verdict,
        )
    return table


def _identity(row: Row) -> str:
    device = row.found.device
    if device is None:
        return "unknown"
    lines = [
        f"{device.manufacturer} {device.model}".strip(),
        f"Android {device.android or '?'}, {device.build_type or '?'} build",
        f"{device.soc or 'unknown SoC'}, {len(device.capacities) or '?'} cores",
        f"{', '.join(device.abis[:1]) or 'unknown ABI'}, serial {device.serial}",
    ]
    return _plain("\n".join(lines))


def _condition(row: Row) -> str:
    state = row.state
    if state is None:
        return "unknown"
    level, warmth = state.battery.level, state.battery.temperature
    clusters = {cpu.cluster: cpu for cpu in state.cpus}
    clocks = " + ".join(f"{(cpu.limit or 0) / 1e9:.2f}" for cpu in clusters.values())
    governors = ", ".join(sorted({cpu.governor for cpu in state.cpus if cpu.governor}))
    lines = [
        f"battery {'?' if level is None else f'{level:.0%}'}"
        f" {'' if warmth is None else f'{warmth:.1f} C'}",
        f"thermal status {'?' if state.thermal_status is None else state.thermal_status}",
        f"load {'?' if state.load is None else f'{state.load:.2f}'}",
        f"up to {clocks or '?'} GHz, {governors or 'unknown governor'}",
        f"screen {_switch(state.screen_on)}, battery saver {_switch(state.power_save)}",
        *(
            ["in fixed-performance mode" + ("" if row.held else ", left by a killed run")]
            if row.fixed
            else []
        ),
    ]
    return _plain("\n".join(lines))


def _switch(on: bool | None) -> str:
    return "?" if on is None else "on" if on else "off"


def _plain(text: str) -> str:
    """Text that cannot steer a terminal."""
    return "".join(each for each in text if each.isprintable() or each == "\n")


if __name__ == "__main__":
    sys.exit(main())
