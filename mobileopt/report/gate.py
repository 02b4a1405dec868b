"""What the gate found, in a terminal and for machines; the rows are markdown's as well."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import date
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mobileopt.gate.finding import Finding, Outcome, Result, amount
from mobileopt.report.units import quantity

MANY = 60
"""Rows above which the terminal leaves out what is ok; the other outputs never do."""

HEADINGS = ("benchmark", "of", "base", "head", "worse by", "outcome")
WORDS: dict[Outcome, str] = {
    "worse": "WORSE",
    "ok": "ok",
    "unclear": "cannot tell",
    "accepted": "accepted",
}
_COLOURS: dict[Outcome, str] = {
    "worse": "bold red",
    "ok": "green",
    "unclear": "yellow",
    "accepted": "cyan",
}
_ORDER: tuple[Outcome, ...] = ("worse", "unclear", "accepted", "ok")


def in_order(result: Result) -> list[Finding]:
    """The findings, the worst first."""
    return sorted(result.findings, key=lambda each: _ORDER.index(each.outcome))


def cells(finding: Finding) -> tuple[str, ...]:
    """A finding as texts, one a heading."""
    return (
        finding.metric,
        finding.subject,
        quantity(finding.base, finding.unit),
        quantity(finding.head, finding.unit),
        "unknown" if math.isnan(finding.ratio) else amount(finding),
        WORDS[finding.outcome] + (f": {finding.reason}" if finding.reason else ""),
    )


def show(result: Result, console: Console) -> None:
    """Print the table, what was skipped, the notes and the result in one sentence."""
    table = Table(title=Text(result.title), title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    shown = in_order(result)
    if len(shown) > MANY:
        shown = [each for each in shown if each.outcome != "ok"]
    for finding in shown:
        *others, outcome = cells(finding)
        table.add_row(*map(Text, others), Text(outcome, _COLOURS[finding.outcome]))
    if shown:
        console.print(table)
    if len(shown) < len(result.findings):
        console.print(f"{len(result.findings) - len(shown)} more are ok", style="green")
    for name, reason in result.skipped.items():
        console.print(f"not compared: {name}: {reason}", style="dim", markup=False)
    for note in result.notes:
        console.print(note, style="yellow", markup=False)
    style = ("bold green", "bold red", "bold yellow")[result.exit_code]
    console.print(f"{result.sentence} ({result.seconds:.0f} s)", style=style, markup=False)


def dump(result: Result) -> str:
    """The result as one strict JSON document; what is infinite or unknown is null."""
    document = asdict(result) | {
        "exit_code": result.exit_code,
        "sentence": result.sentence,
        "verdict": ("nothing worse", "worse", "cannot tell")[result.exit_code],
        "findings": [asdict(each) | {"exact": each.exact} for each in in_order(result)],
    }
    return json.dumps(_plain(document), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, date) else value
