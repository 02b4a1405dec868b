"""A night's report as markdown, JSON and an Atom feed."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mobileopt.nightly.report import Change, Report
from mobileopt.nightly.suspects import Suspect
from mobileopt.report.units import bytes_, milliseconds
from mobileopt.store import files

ATOM = "http://www.w3.org/2005/Atom"
_ENTRIES = 50  # of the feed: readers keep the older ones
_MANY = 10  # lines of a list, below which the rest is only counted


def write(report: Report, folder: Path, url: str, changes: Iterable[Change]) -> list[Path]:
    """Write report.md, report.json, one dated markdown file and feed.atom; each replaced whole.

    `changes` are all that were ever found: the feed's entries, which keep their identities.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(report)
    name = f"{report.started:%Y-%m-%d-%H%M%S}.md"
    contents = {
        "report.md": text,
        name: text,
        "report.json": as_json(report),
        "feed.atom": atom(report.title, url, changes, report.ended),
    }
    for each, content in contents.items():
        files.replace(folder / each, content)
    return [folder / each for each in contents]


def markdown(report: Report) -> str:
    """The report for a person; nothing in it that came from outside is taken for markup."""
    parts = [
        f"# {_plain(report.title)}: {report.headline}",
        f"{report.started:%Y-%m-%d %H:%M} to {report.ended:%H:%M} UTC, newest commit "
        f"`{report.tip[:8]}` {_plain(report.subject)}",
        _changes("Regressions", report.regressions),
        _list("Could not be decided", [_undecided(*each) for each in report.undecided]),
        _changes("Improvements", report.improvements),
        _changes("Accepted", report.accepted),
        _changes("Told before, in recent commits", report.known),
        _list("Seen in history, and not of a kind that can be measured again",
              [_plain(each.sentence()) for each in report.seen]),
        _machines(report),
        _list("Left for another night", [_plain(each) for each in report.left]),
        _list("Suspected, measured again, and not so",
              [_undecided(*each) for each in report.refuted]),
        _list("Given up: measured on several nights, and never decided",
              [_undecided(*each) for each in report.given_up]),
        _list("Warnings", [_plain(each) for each in report.warnings]),
    ]  # fmt: skip
    if report.site:
        parts.append(f"The site: `{_plain(report.site)}`")
    return "\n\n".join(part for part in parts if part) + "\n"


def as_json(report: Report) -> str:
    """The report for a machine: all of it, with `level`, `exit_code` and `headline`."""
    told = asdict(report) | {
        "level": report.level,
        "exit_code": report.exit_code,
        "headline": report.headline,
    }
    told["undecided"] = [asdict(s) | {"reason": why} for s, why in report.undecided]
    told["refuted"] = [asdict(s) | {"reason": why} for s, why in report.refuted]
    told["given_up"] = [asdict(s) | {"reason": why} for s, why in report.given_up]
    return json.dumps(files.strict(told), indent=2, default=_moment) + "\n"


def atom(title: str, url: str, changes: Iterable[Change], updated: datetime) -> str:
    """A feed with an entry for every regression found, newest first (RFC 4287)."""
    feed = ET.Element("feed", xmlns=ATOM)
    _child(feed, "title", title)
    _child(feed, "id", url or "urn:mobileopt:nightly")
    _child(feed, "updated", updated.isoformat())
    if url:
        ET.SubElement(feed, "link", rel="self", href=f"{url.rstrip('/')}/feed.atom")
    worse = sorted((each for each in changes if each.worse), key=lambda each: -each.found_at)
    for change in worse[:_ENTRIES]:
        _entry(feed, change, url)
    ET.indent(feed)
    return ET.tostring(feed, encoding="unicode", xml_declaration=True) + "\n"


def _entry(feed: ET.Element, change: Change, url: str) -> None:
    entry = ET.SubElement(feed, "entry")
    _child(entry, "title", f"{change.variant} {change.size} on {change.machine}")
    _child(entry, "id", change.id)
    _child(entry, "updated", datetime.fromtimestamp(change.found_at, UTC).isoformat())
    author = ET.SubElement(entry, "author")
    _child(author, "name", change.candidates[0].author if change.candidates else "unknown")
    if url:
        ET.SubElement(entry, "link", href=f"{url.rstrip('/')}/report.md")
    _child(entry, "content", "\n".join(_lines(change)))


def _child(parent: ET.Element, name: str, text: str) -> None:
    # XML knows no control characters, and a commit's subject may hold any.
    ET.SubElement(parent, name).text = "".join(c for c in text if c.isprintable() or c == "\n")


def _changes(heading: str, changes: Sequence[Change]) -> str:
    if not changes:
        return ""
    groups: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        groups.setdefault(tuple(each.hash for each in change.candidates), []).append(change)
    blocks = [_of_one_commit(group) for group in groups.values()]
    return f"## {heading}\n\n" + "\n\n".join(blocks)


def _of_one_commit(changes: Sequence[Change]) -> str:
    head = [_plain(line) for line in _culprit(changes[0])]
    rows = ["| variant | metric | machine | change | interval | before | confidence |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    for change in sorted(changes, key=lambda each: (each.machine, each.metric, each.variant)):
        cells = (
            change.variant, change.metric, change.machine, change.size, change.interval or "exact",
            _amount(change.before, change.unit), _sure(change),
        )  # fmt: skip
        rows.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join([f"### {head[0]}", "", *head[1:], "", *rows])


def _sure(change: Change) -> str:
    return "certain" if change.confidence == 1 else f"at least {change.confidence:.1%}"


def _culprit(change: Change) -> list[str]:
    found = change.candidates
    if len(found) == 1:
        commit = found[0]
        return [f"{commit.short} {commit.subject}",
                f"by {commit.author}, {commit.date:%Y-%m-%d %H:%M %z}"]  # fmt: skip
    if not found:
        return ["a commit that is no longer in the repository", f"after {change.parent[:8]}"]
    lines = [f"one of {len(found)} commits, {found[0].short} to {found[-1].short}"]
    return lines + [f"- {each.short} {each.subject}" for each in found[:_MANY]]


def _lines(change: Change) -> list[str]:
    what = f"{change.metric} of {change.variant} on {change.machine}: {change.size}"
    return [*_culprit(change), what, change.sentence]


def _machines(report: Report) -> str:
    if not report.machines:
        return "No machine was there to measure on."
    rows = ["| machine | commits measured | has the newest commit |", "|---|---|---|"]
    for row in report.machines:
        newest = ("yes" if row.has_tip else "no") + (f", {_cell(row.note)}" if row.note else "")
        rows.append(f"| {_cell(row.machine)} | {row.measured} | {newest} |")
    return "\n".join(["## Machines", "", *rows])


def _list(heading: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    shown = [f"- {line}" for line in lines[:_MANY]]
    if len(lines) > _MANY:
        shown.append(f"- and {len(lines) - _MANY} more, see report.json")
    return "\n".join([f"## {heading}", "", *shown])


def _undecided(suspect: Suspect, reason: str) -> str:
    return f"{_suspicion(suspect)}: {_plain(reason)}"


def _suspicion(suspect: Suspect) -> str:
    what = _plain(f"{suspect.metric} of {suspect.variant or suspect.series}")
    change = f"{suspect.after / suspect.before - 1:+.1%}"
    return f"{what} on {_plain(suspect.machine)}, {change} at `{suspect.first[:8]}`"


def _amount(value: float, unit: str) -> str:
    known = {"seconds": milliseconds, "bytes": bytes_}
    return known[unit](value) if unit in known else f"{value:.4g} {unit}"


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """One line of text in which nothing is markup: a commit's subject may hold anything."""
    line = "".join(c if c.isprintable() else " " for c in text)
    for mark in "\\`*[]<>":
        line = line.replace(mark, f"\\{mark}" if mark != "<" else "&lt;")
    return line.replace("\\>", ">")


def _moment(value: Any) -> str:
    return value.isoformat()
