"""Tables in GitHub's markdown, for the summary of a job or a comment."""

from __future__ import annotations

from collections.abc import Sequence

from mobileopt.gate.finding import Result
from mobileopt.history import Change
from mobileopt.report import changes as history
from mobileopt.report import gate
from mobileopt.report.markup import escape, table

_SIGNS = ("✅", "❌", "❓")


def check(result: Result) -> str:
    """The gate's result: a sentence, a table, what was not compared, the notes."""
    lines = [f"### {_SIGNS[result.exit_code]} {escape(result.sentence)}", ""]
    lines += [f"{escape(result.title)}, {result.seconds:.0f} s", ""]
    if result.findings:
        rows = (gate.cells(each) for each in gate.in_order(result))
        lines += [*table(gate.HEADINGS, rows), ""]
    lines += [
        f"- not compared: {escape(name)}: {escape(reason)}"
        for name, reason in result.skipped.items()
    ]
    lines += [f"- {escape(note)}" for note in result.notes]
    return "\n".join(lines).rstrip() + "\n"


def changes(found: Sequence[Change]) -> str:
    """The changes of a store as a table."""
    if not found:
        return "No changes.\n"
    return "\n".join(table(history.HEADINGS, map(history.cells, found))) + "\n"
