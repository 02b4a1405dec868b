"""An Atom 1.0 feed (RFC 4287), whatever its entries are about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring

from mobileopt.report import xml

NAMESPACE = "http://www.w3.org/2005/Atom"


@dataclass(frozen=True)
class Entry:
    """One thing to tell; `identity` stays the same however often it is told."""

    title: str
    identity: str
    updated: datetime
    content: str
    author: str = ""
    link: str = ""
    categories: tuple[str, ...] = ()


def dump(
    title: str,
    identity: str,
    updated: datetime,
    entries: Iterable[Entry],
    *,
    home: str = "",
    own: str = "",
) -> str:
    """The feed, its entries in the order given.

    `home` is the address of a page about them, `own` that of the feed itself, where there is one.
    """
    register_namespace("", NAMESPACE)
    feed = Element(_tag("feed"))
    _add(feed, "title", title)
    _add(feed, "id", identity)
    _add(feed, "updated", updated.isoformat())
    _add(_add(feed, "author"), "name", "mobileopt")
    if home:
        _link(feed, home)
    if own:
        _link(feed, own).set("rel", "self")
    for entry in entries:
        _entry(feed, entry)
    indent(feed)
    return tostring(feed, encoding="unicode", xml_declaration=True) + "\n"


def _entry(feed: Element, entry: Entry) -> None:
    made = _add(feed, "entry")
    _add(made, "title", entry.title)
    _add(made, "id", entry.identity)
    _add(made, "updated", entry.updated.isoformat())
    if entry.author:
        _add(_add(made, "author"), "name", entry.author)
    if entry.link:
        _link(made, entry.link)
    for term in entry.categories:
        _add(made, "category").set("term", xml.text(term))
    _add(made, "content", entry.content)


def _link(parent: Element, address: str) -> Element:
    made = _add(parent, "link")
    made.set("href", xml.text(address))
    return made


def _add(parent: Element, name: str, text: str | None = None) -> Element:
    made = SubElement(parent, _tag(name))
    made.text = None if text is None else xml.text(text)
    return made


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
