"""A night's report as markdown, plain text, JSON and an Atom feed."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mobileopt.nightly import claims, outline
from mobileopt.nightly.claims import Claim
from mobileopt.nightly.outline import Section
from mobileopt.nightly.report import Change, Report
from mobileopt.store import files

ATOM = "http://www.w3.org/2005/Atom"
_ENTRIES = 50  # of the feed: readers keep the older ones


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
    title, below = map(_plain, outline.head(report))
    parts = [f"# {title}", below, *map(_section, outline.sections(report))]
    if report.site:
        parts.append(f"The site: {_plain(report.address or report.site)}")
    return "\n\n".join(parts) + "\n"


def text(report: Report) -> str:
    """The report as mail shows it: no markup, a figure a line."""
    parts = list(map(_printable, outline.head(report)))
    for section in outline.sections(report):
        lines = [f"- {_printable(each)}" for each in section.lines]
        blocks = "\n\n".join(map(_told, section.claims))
        parts.append("\n".join([section.heading.upper(), "", *lines, blocks]).strip())
    if report.site:
        parts.append(f"The site: {_printable(report.address or report.site)}")
    return "\n\n".join(parts) + "\n"


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
    [claim] = claims.claims([change], (), "")
    said = (claim.title, *claim.who, *claim.sentences, change.sentence)
    _child(entry, "content", "\n".join(said))


def _child(parent: ET.Element, name: str, text: str) -> None:
    # XML knows no control characters, and a commit's subject may hold any.
    ET.SubElement(parent, name).text = "".join(c for c in text if c.isprintable() or c == "\n")


def _section(section: Section) -> str:
    lines = [f"- {_plain(each)}" for each in section.lines]
    blocks = ["\n".join(lines)] if lines else []
    blocks += map(_claim, section.claims)
    return "\n\n".join([f"## {section.heading}", *blocks])


def _claim(claim: Claim) -> str:
    sentences = [f"- {_plain(each)}" for each in claim.sentences]
    blocks = [f"### {_plain(claim.title)}", "\n".join(sentences), _listed(claim.who)]
    blocks.append("\n".join(_table(claims.HEADINGS, claim.rows)))
    if claim.more:
        blocks.append(_more(claim))
    if claim.graph:
        blocks.append(f"[Its history]({claim.graph})")
    if claim.again:
        commands = map(_printable, claim.again)
        blocks.append("\n".join(["To measure it again:", "", "```", *commands, "```"]))
    return "\n\n".join(blocks)


def _listed(lines: Sequence[str]) -> str:
    """Lines some of which are of a list, whose mark stays one."""
    return "\n".join(f"- {_plain(e[2:])}" if e.startswith("- ") else _plain(e) for e in lines)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    return lines + [f"| {' | '.join(map(_cell, row))} |" for row in rows]


def _told(claim: Claim) -> str:
    lines = [claim.title, *claim.who, *(f"  {each}" for each in claim.sentences)]
    for variant, metric, machine, before, after, change, interval, sure in claim.rows:
        lines += [
            f"  {metric} of {variant} on {machine}:",
            f"    {before} before, {after} after",
            f"    measured again: {change}, {interval}, confidence {sure}",
        ]
    lines += [f"  {_more(claim)}"] if claim.more else []
    lines += [f"  its history: {claim.graph}"] if claim.graph else []
    if claim.again:
        lines += ["  to measure it again:", *(f"    {each}" for each in claim.again)]
    return "\n".join(map(_printable, lines))


def _more(claim: Claim) -> str:
    return f"and {claim.more} more changes, see report.json"


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """One line of text in which nothing is markup: a commit's subject may hold anything."""
    line = _printable(text)
    for mark in "\\`*[]<>":
        line = line.replace(mark, f"\\{mark}" if mark != "<" else "&lt;")
    return line.replace("\\>", ">")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _moment(value: Any) -> str:
    return value.isoformat()
