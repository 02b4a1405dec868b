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

from mobileopt.gate.finding import UNITS, Finding, Outcome, Result, amount
from mobileopt.report.units import bytes_, milliseconds

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
        quantity(finding.base, UNITS.get(finding.metric, "")),
        quantity(finding.head, UNITS.get(finding.metric, "")),
        "unknown" if math.isnan(finding.ratio) else amount(finding),
        WORDS[finding.outcome] + (f": {finding.reason}" if finding.reason else ""),
    )


def quantity(value: float, unit: str) -> str:
    """A value as people read it in its unit."""
    if math.isnan(value):
        return "unknown"
    if unit == "seconds":
        return milliseconds(value)
    if unit == "bytes":
        # A file that grew by bytes must not look as if it had not.
        return bytes_(value) if value < 1000 else f"{bytes_(value)} ({value:,.0f})"
    return f"{value:.4g} {unit}".strip()


def show(result: Result, console: Console) -> None:
    """Print the table, what was skipped, the notes and the result in one sentence."""
    table = Table(title=f"{result.base[:8]} against {result.head[:8]}", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for finding in in_order(result):
        *others, outcome = cells(finding)
        table.add_row(*map(Text, others), Text(outcome, _COLOURS[finding.outcome]))
    if result.findings:
        console.print(table)
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
        "findings": [asdict(each) | _texts(each) for each in in_order(result)],
    }
    return json.dumps(_plain(document), allow_nan=False)


def _texts(finding: Finding) -> dict[str, Any]:
    return {"unit": UNITS.get(finding.metric, ""), "exact": finding.exact}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, date) else value
