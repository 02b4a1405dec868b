"""Changes of a store in a terminal and for machines; the rows are markdown's and Atom's as well."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mobileopt.history import Change, State
from mobileopt.report.units import quantity

HEADINGS = ("state", "change", "interval", "metric", "of", "machine", "commits", "cause")
_COLOURS: dict[State, str] = {
    "open": "bold red",
    "accepted": "cyan",
    "fixed": "green",
    "past": "dim",
    "kept": "green",
    "lost": "yellow",
}


def cells(change: Change) -> tuple[str, ...]:
    """A change as texts, one a heading."""
    return (
        _state(change),
        _size(change),
        _interval(change),
        change.metric.name,
        change.subject,
        change.machine,
        _commits(change),
        change.cause,
    )


def show(changes: Sequence[Change], console: Console) -> None:
    """Print a table, or one sentence where there is nothing to list."""
    if not changes:
        console.print("No changes.")
        return
    table = Table()
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for change in changes:
        state, *others = cells(change)
        table.add_row(Text(state, _COLOURS[change.state]), *map(Text, others))
    console.print(table)


def dump(changes: Sequence[Change]) -> str:
    """A strict JSON list; levels are in the metric's unit, what is infinite is null."""
    return json.dumps([_document(each) for each in changes], allow_nan=False, indent=2)


def _document(change: Change) -> dict[str, Any]:
    commit, entry = change.commit, change.accepted
    return {
        "id": change.identity,
        "state": change.state,
        "direction": change.direction,
        "machine": change.machine,
        "metric": change.metric.name,
        "unit": change.metric.unit,
        "subject": change.subject,
        "variant": None if change.origin.variant is None else str(change.origin.variant),
        "settings": dict(change.origin.settings),
        "version": change.origin.version,
        "environment": change.origin.environment,
        "last_before": change.last_before,
        "first_after": change.first_after,
        "commits": list(change.span),
        "author": commit and commit.author,
        "subject_of_commit": commit and commit.subject,
        "date": change.date.isoformat(),
        "before": change.before,
        "after": change.after,
        "ratio": _finite(change.ratio),
        "low": _finite(change.low),
        "high": _finite(change.high),
        "confidence": change.confidence,
        "cause": change.cause,
        "ended_by": change.ended_by,
        "accepted": entry and {"reason": entry.reason, "expires": entry.expires.isoformat()},
    }


def _state(change: Change) -> str:
    if change.accepted is not None:
        return f"accepted until {change.accepted.expires}: {change.accepted.reason}"
    return change.state + (f" by {change.ended_by[:8]}" if change.ended_by else "")


def _size(change: Change) -> str:
    levels = f"{quantity(change.before, change.metric.unit)} to " + quantity(
        change.after, change.metric.unit
    )
    return levels if math.isinf(change.ratio) else f"{100 * change.size:+.1f} %, {levels}"


def _interval(change: Change) -> str:
    if math.isinf(change.ratio):
        return ""
    return f"{100 * (change.low - 1):+.1f} to {100 * (change.high - 1):+.1f} %"


def _commits(change: Change) -> str:
    told = str(change.commit or change.first_after[:8])
    if len(change.span) > 1:
        told = f"{change.span[0][:8]} to {told}, one of {len(change.span)} commits"
    return f"{change.date.date()} {told}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
