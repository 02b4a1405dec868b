"""A night's report as markdown, plain text, JSON and an Atom feed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mobileopt.nightly import claims, outline
from mobileopt.nightly.claims import Claim
from mobileopt.nightly.outline import Section
from mobileopt.nightly.report import Change, Report
from mobileopt.report import feed
from mobileopt.report.markup import escape, line, table
from mobileopt.store import files

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
    title, below = map(escape, outline.head(report))
    parts = [f"# {title}", below, *map(_section, outline.sections(report))]
    if report.site:
        parts.append(f"The site: {escape(report.address or report.site)}")
    return "\n\n".join(parts) + "\n"


def text(report: Report) -> str:
    """The report as mail shows it: no markup, a figure a line."""
    parts = list(map(line, outline.head(report)))
    for section in outline.sections(report):
        lines = [f"- {line(each)}" for each in section.lines]
        blocks = "\n\n".join(map(_told, section.claims))
        parts.append("\n".join([section.heading.upper(), "", *lines, blocks]).strip())
    if report.site:
        parts.append(f"The site: {line(report.address or report.site)}")
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
    """A feed with an entry for every regression found, newest first; `url` is the reports'."""
    folder = url.rstrip("/")
    worse = sorted((each for each in changes if each.worse), key=lambda each: -each.found_at)
    entries = (_entry(each, folder) for each in worse[:_ENTRIES])
    own = f"{folder}/feed.atom" if folder else ""
    return feed.dump(title, url or "urn:mobileopt:nightly", updated, entries, own=own)


def _entry(change: Change, folder: str) -> feed.Entry:
    [claim] = claims.claims([change], (), "")
    return feed.Entry(
        title=f"{change.variant} {change.size} on {change.machine}",
        identity=change.id,
        updated=datetime.fromtimestamp(change.found_at, UTC),
        content="\n".join((claim.title, *claim.who, *claim.sentences, change.sentence)),
        author=change.candidates[0].author if change.candidates else "unknown",
        link=f"{folder}/report.md" if folder else "",
    )


def _section(section: Section) -> str:
    lines = [f"- {escape(each)}" for each in section.lines]
    blocks = ["\n".join(lines)] if lines else []
    blocks += map(_claim, section.claims)
    return "\n\n".join([f"## {section.heading}", *blocks])


def _claim(claim: Claim) -> str:
    sentences = [f"- {escape(each)}" for each in claim.sentences]
    blocks = [f"### {escape(claim.title)}", "\n".join(sentences), _listed(claim.who)]
    blocks.append("\n".join(table(claims.HEADINGS, claim.rows)))
    if claim.more:
        blocks.append(_more(claim))
    if claim.graph:
        blocks.append(f"[Its history]({claim.graph})")
    if claim.again:
        commands = map(line, claim.again)
        blocks.append("\n".join(["To measure it again:", "", "```", *commands, "```"]))
    return "\n\n".join(blocks)


def _listed(lines: Sequence[str]) -> str:
    """Lines some of which are of a list, whose mark stays one."""
    return "\n".join(f"- {escape(e[2:])}" if e.startswith("- ") else escape(e) for e in lines)


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
    return "\n".join(map(line, lines))


def _more(claim: Claim) -> str:
    return f"and {claim.more} more changes, see report.json"


def _moment(value: Any) -> str:
    return value.isoformat()
