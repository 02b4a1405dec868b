"""What a report says and in which order: headings, claims and lines, for markdown and for mail.

Plain texts, nothing escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mobileopt.nightly import claims
from mobileopt.nightly.claims import Claim
from mobileopt.nightly.report import Change, Report
from mobileopt.nightly.suspects import Suspect

_MANY = 10  # lines of a list, beyond which they are only counted


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it: claims, or lines of a list."""

    heading: str
    claims: tuple[Claim, ...] = ()
    lines: tuple[str, ...] = ()


def head(report: Report) -> tuple[str, str]:
    """The heading of a report, and the line below it."""
    when = f"{report.started:%Y-%m-%d %H:%M} to {report.ended:%H:%M} UTC"
    tip = f"newest commit {report.tip[:8]} {report.subject}"
    return f"{report.title}: {report.headline}", f"{when}, {tip}"


def sections(report: Report) -> list[Section]:
    """The sections that have something in them."""
    machines = [row.machine for row in report.machines]

    def changes(heading: str, found: Sequence[Change]) -> Section:
        return Section(heading, tuple(claims.claims(found, machines, report.address)))

    found = [
        changes("Regressions", report.regressions),
        _list("Could not be decided", (_undecided(*each) for each in report.undecided)),
        changes("Improvements", report.improvements),
        changes("Accepted", report.accepted),
        changes("Told before, in recent commits", report.known),
        _list("Seen in history, and not of a kind that can be measured again",
              (each.sentence() for each in report.seen)),
        _list("Machines", _machines(report)),
        _list("Left for another night", report.left),
        _list("Suspected, measured again, and not so",
              (_undecided(*each) for each in report.refuted)),
        _list("Given up: measured on several nights, and never decided",
              (_undecided(*each) for each in report.given_up)),
        _list("Warnings", report.warnings),
    ]  # fmt: skip
    return [each for each in found if each.claims or each.lines]


def _list(heading: str, lines: Iterable[str]) -> Section:
    found = tuple(lines)
    if len(found) > _MANY:
        found = (*found[:_MANY], f"and {len(found) - _MANY} more, see report.json")
    return Section(heading, lines=found)


def _machines(report: Report) -> list[str]:
    if not report.machines:
        return ["No machine was there to measure on."]
    return [
        f"{row.machine}: {row.measured} commits measured, "
        f"{'has' if row.has_tip else 'lacks'} the newest commit{row.note and f'; {row.note}'}"
        for row in report.machines
    ]


def _undecided(suspect: Suspect, reason: str) -> str:
    what = f"{suspect.metric} of {suspect.variant or suspect.series} on {suspect.machine}"
    change = f"{suspect.after / suspect.before - 1:+.1%}"
    return f"{what}, {change} at {suspect.first[:8]}: {reason}"
