"""Changes as an Atom 1.0 feed (RFC 4287): an entry each, with an id that stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring

from mobileopt.history import Change
from mobileopt.report import changes as rows
from mobileopt.report import xml

NAMESPACE = "http://www.w3.org/2005/Atom"


def dump(changes: Sequence[Change], title: str = "mobileopt: changes", home: str = "") -> str:
    """The feed, newest first; `home` is the address of a page about them, if there is one.

    An entry's date is its commit's, so that the same store gives the same feed.
    """
    register_namespace("", NAMESPACE)
    feed = Element(_tag("feed"))
    newest = max((each.date for each in changes), default=datetime.fromtimestamp(0, UTC))
    _add(feed, "title", title)
    _add(feed, "id", f"urn:uuid:{uuid5(NAMESPACE_URL, home or title)}")
    _add(feed, "updated", newest.isoformat())
    SubElement(_add(feed, "author"), _tag("name")).text = "mobileopt"
    if home:
        _add(feed, "link").set("href", xml.text(home))
    for change in sorted(changes, key=lambda each: each.date, reverse=True):
        _entry(feed, change)
    indent(feed)
    return tostring(feed, encoding="unicode", xml_declaration=True) + "\n"


def _entry(feed: Element, change: Change) -> None:
    entry = _add(feed, "entry")
    _add(entry, "title", change.sentence())
    _add(entry, "id", change.identity)
    _add(entry, "updated", change.date.isoformat())
    for term in (change.direction, change.state, change.machine):
        _add(entry, "category").set("term", xml.text(term))
    told = zip(rows.HEADINGS, rows.cells(change), strict=True)
    _add(entry, "content", "\n".join(f"{heading}: {text}" for heading, text in told))


def _add(parent: Element, name: str, text: str | None = None) -> Element:
    made = SubElement(parent, _tag(name))
    made.text = None if text is None else xml.text(text)
    return made


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
