"""Verdicts as a table in a terminal."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mobileopt.compare import Comparison
from mobileopt.report.units import bytes_, decibels, milliseconds
from mobileopt.verdicts import Row, Step, Verdicts

_COLOURS = {"faster": "green", "slower": "red", "same": "", "unclear": "yellow"}


def show(verdicts: Verdicts, console: Console) -> None:
    """Print the table of variants, what each single step does, what was refused, the advice."""
    console.print(_variants(verdicts))
    if verdicts.steps:
        console.print(_steps(verdicts))
    for recipe, reason in verdicts.refused.items():
        console.print(f"not measured: {recipe}: {reason}", style="dim", markup=False)
    console.print(_data(verdicts), style="dim", markup=False)
    for note in _notes(verdicts):
        console.print(note, style="yellow", markup=False)
    console.print(verdicts.advice, style="bold", markup=False)
    console.print("A host is no phone: measure there before a release.", style="dim")


def _variants(verdicts: Verdicts) -> Table:
    record = verdicts.record
    table = Table(
        title=f"{verdicts.model}, batch {verdicts.batch}: {len(record.launches)} rounds in "
        f"{len(set(record.launches))} launches of every variant",
        title_justify="left",
    )
    table.add_column("recipe", no_wrap=True)
    headings = ["latency", "interval", "speed", "interval", "size", "SQNR", "top-1"]
    counted = any(row.allocations for row in verdicts.rows)
    headings += ["page faults", "allocations"] if counted else []
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in verdicts.rows:
        table.add_row(*_cells(row), *(_counts(row) if counted else []))
    return table


def _cells(row: Row) -> list[Text | str]:
    made = row.artifact
    return [
        row.name,
        milliseconds(row.latency) + ("" if row.settled else " ~"),
        _interval(row.low, row.high, milliseconds),
        *_speed(row.against_baseline),
        bytes_(made.size),
        decibels(made.fidelity.noise),
        f"{made.fidelity.top1_agreement:.0%}",
    ]


def _counts(row: Row) -> list[str]:
    faults = "n/a" if row.page_faults is None else f"{row.page_faults:,.0f}"
    return [faults, "n/a" if row.allocations is None else f"{row.allocations.count:,}"]


def _speed(comparison: Comparison | None) -> list[Text | str]:
    if comparison is None:
        return ["1.00x", "baseline"]
    colour = _COLOURS[comparison.verdict]
    return [Text(f"{1 / comparison.ratio:.2f}x", colour), _speed_interval(comparison)]


def _speed_interval(comparison: Comparison) -> str:
    return _interval(1 / comparison.high, _inverse(comparison.low), lambda value: f"{value:.2f}")


def _inverse(value: float) -> float:
    return 1 / value if value else math.inf


def _interval(low: float, high: float, unit: object) -> str:
    assert callable(unit)
    return "too few rounds" if math.isinf(high) else f"{unit(low)} to {unit(high)}"


def _steps(verdicts: Verdicts) -> Table:
    table = Table(title="What one step does, all else equal", title_justify="left")
    for heading in ("step", "from", "to"):
        table.add_column(heading, no_wrap=True)
    for heading in ("speed", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict")
    for step in verdicts.steps:
        table.add_row(*_step_cells(step))
    return table


def _step_cells(step: Step) -> list[Text | str]:
    found = step.comparison
    return [" to ".join(step.words), *step.names, *_speed(found), _verdict(found)]


def _verdict(comparison: Comparison) -> Text:
    if comparison.verdict == "same":
        bound = max(comparison.high - 1, 1 / comparison.low - 1)
        return Text(f"no difference larger than {bound:.1%}")
    if not comparison.session.sound:
        return Text(f"cannot tell: {comparison.session}", "yellow")
    if comparison.verdict == "unclear":
        more = f"cannot tell yet, needs about {comparison.more_rounds} more {comparison.unit}"
        return Text(more, "yellow")
    return Text(comparison.verdict, _COLOURS[comparison.verdict])


def _data(verdicts: Verdicts) -> str:
    """Where the weights and inputs behind the fidelity column are from."""
    artifacts = [row.artifact for row in verdicts.rows]
    first = artifacts[0]
    words = (
        f"Weights {first.weights}; fidelity on {first.fidelity.inputs} of {first.fidelity.source}"
    )
    calibration = sorted({each.calibration for each in artifacts if each.calibration})
    return f"{words}; int8 ranges from {', '.join(calibration)}" if calibration else words


def _notes(verdicts: Verdicts) -> list[str]:
    notes: list[str] = []
    if verdicts.record.interrupted:
        notes.append("Stopped early: this is what was finished.")
    if verdicts.record.unsettled:
        notes.append("~ marks a latency whose warm-up had not settled.")
    return notes
