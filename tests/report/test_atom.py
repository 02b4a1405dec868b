"""The feed of changes, as a feed reader takes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.commits import Commit
from mobileopt.history import Change
from mobileopt.report import changes as rows
from mobileopt.report.atom import dump
from mobileopt.report.feed import NAMESPACE
from mobileopt.run import Metric
from mobileopt.series import Origin
from mobileopt.variant import BASELINE, Variant

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ORIGIN = Origin(
    Variant("mlp", BASELINE), "pixel6", Metric("latency.time_forward", "seconds"), "1", "py3.11"
)
CHANGE = Change(
    ORIGIN, "a" * 40, "b" * 40, ("b" * 40,), DAY, 0.1, 0.12, 1.15, 1.25, 0.99, "commit", "open"
)


def on(day, digit):
    return replace(CHANGE, date=DAY + timedelta(days=day), first_after=digit * 40)


CHANGES = [on(2, "2"), on(0, "0"), on(1, "1")]


def read(changes, **options):
    return ElementTree.fromstring(dump(changes, **options).encode())


def told(parent, name):
    return [each.text for each in parent.iter(f"{{{NAMESPACE}}}{name}")]


@given(st.permutations(CHANGES))
def test_the_same_changes_give_the_same_feed_newest_first(changes):
    assert dump(changes) == dump(CHANGES)
    newest = [(DAY + timedelta(days=day)).isoformat() for day in (2, 1, 0)]
    assert told(read(changes), "updated") == [newest[0], *newest]


def test_an_entry_keeps_its_identity_while_its_state_changes():
    fixed = replace(CHANGE, state="fixed", ended_by="c" * 40)
    assert told(read([CHANGE]), "id") == told(read([fixed]), "id")
    assert told(read([CHANGE]), "title") != told(read([fixed]), "title")
    assert len(set(told(read(CHANGES), "id"))) == 4


def test_an_entry_says_all_that_a_row_of_the_table_says():
    content = told(read([CHANGE]), "content")[0].splitlines()
    assert [line.split(": ")[0] for line in content] == list(rows.HEADINGS)
    assert "change: +20.0 %, 100 ms to 120 ms" in content
    feed = read([CHANGE])
    terms = [each.get("term") for each in feed.iter(f"{{{NAMESPACE}}}category")]
    assert terms == ["worse", "open", "pixel6"]


def test_two_labs_have_two_feeds_with_the_page_of_each():
    one, other = (read([], home=f"https://{name}.example") for name in ("one", "two"))
    assert told(one, "id") != told(other, "id")
    assert one.find(f"{{{NAMESPACE}}}link").get("href") == "https://one.example"


def test_a_feed_without_changes_is_whole_and_stays_the_same():
    assert told(read([]), "updated") == ["1970-01-01T00:00:00+00:00"]
    assert dump([]) == dump([])


@pytest.mark.parametrize("subject", ["]]></title><script>", "\x00\x1b[31m\ud800", "&lt; & <b>"])
def test_a_subject_of_a_commit_stays_a_text(subject):
    commit = Commit("b" * 40, "Ada <a@b.example>", DAY, subject)
    [title] = told(read([replace(CHANGE, commit=commit)]), "title")[1:]
    expected = "".join("?" if c in "\x00\x1b\ud800" else c for c in subject)
    assert f"bbbbbbbb ({expected})" in title
