from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from mobileopt.report import feed

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ATOM = f"{{{feed.NAMESPACE}}}"


@given(st.text(max_size=20))
def test_a_feed_is_well_formed_whatever_its_entries_say(text):
    entry = feed.Entry(text, text, DAY, text, author=text, link=text, categories=(text,))
    read = ElementTree.fromstring(feed.dump(text, text, DAY, [entry], home=text, own=text))
    assert len(read.findall(f"{ATOM}entry")) == 1


def test_a_feed_has_what_the_standard_asks_for_and_links_where_there_are_some():
    entry = feed.Entry("one", "urn:1", DAY, "all of it", author="Ada", link="https://x.example/1")
    read = ElementTree.fromstring(feed.dump("Lab", "urn:0", DAY, [entry], own="https://x.example"))
    told = read.find(f"{ATOM}entry")
    for each in (read, told):
        assert all(each.findtext(f"{ATOM}{name}") for name in ("title", "id", "updated"))
    assert read.findtext(f"{ATOM}author/{ATOM}name") == "mobileopt"
    assert read.find(f"{ATOM}link").attrib == {"href": "https://x.example", "rel": "self"}
    assert told.findtext(f"{ATOM}author/{ATOM}name") == "Ada"
    assert told.find(f"{ATOM}link").get("href") == "https://x.example/1"
