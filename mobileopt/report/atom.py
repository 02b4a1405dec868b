"""Changes as an Atom feed: an entry each, with an id that stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from mobileopt.history import Change
from mobileopt.report import changes as rows
from mobileopt.report import feed


def dump(changes: Sequence[Change], title: str = "mobileopt: changes", home: str = "") -> str:
    """The feed, newest first; `home` is the address of a page about them, if there is one.

    An entry's date is its commit's, so that the same store gives the same feed.
    """
    newest = max((each.date for each in changes), default=datetime.fromtimestamp(0, UTC))
    identity = f"urn:uuid:{uuid5(NAMESPACE_URL, home or title)}"
    ordered = sorted(changes, key=lambda each: each.date, reverse=True)
    return feed.dump(title, identity, newest, map(_entry, ordered), home=home)


def _entry(change: Change) -> feed.Entry:
    told = zip(rows.HEADINGS, rows.cells(change), strict=True)
    return feed.Entry(
        title=change.sentence(),
        identity=change.identity,
        updated=change.date,
        content="\n".join(f"{heading}: {text}" for heading, text in told),
        categories=(change.direction, change.state, change.machine),
    )
