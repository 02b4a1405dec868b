"""Rendered by a real reader of markdown, whatever came from outside is text and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mobileopt.report.markup import escape, line, table

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = st.text(st.sampled_from("ab_1 *`[]()<>!&;#+-=~|\\.\n\t\x1b:/é"), max_size=30)


def shown(text):
    """What a reader shows of a paragraph, and whether there is any markup in it."""
    opened, told, closed = READER.parse(text)
    assert (opened.type, closed.type) == ("paragraph_open", "paragraph_close")
    assert {each.type for each in told.children} <= {"text", "text_special"}
    return "".join(each.content for each in told.children)


@given(HOSTILE)
@example("# heading")
@example("1. one")
@example("&lt;b&gt;")
@example("_a_ __b__")
@example("---")
def test_no_text_is_markup(text):
    words = " ".join(line(text).split())
    if words:
        assert shown(escape(text)) == words


@given(st.lists(HOSTILE, min_size=2, max_size=2))
def test_a_cell_of_a_table_is_one_cell_and_shows_its_text(cells):
    tokens = READER.parse("\n".join(table(["a", "b"], [cells])))
    assert [each.type for each in tokens].count("td_open") == 2
    told = [each for each in tokens if each.type == "inline"][2:]
    assert [shown(each.content) if each.content else "" for each in told] == [
        " ".join(line(each).split()) for each in cells
    ]


@pytest.mark.parametrize("name", ["mobilenet_v2/fused-float-nchw-mobile", "pixel_8-08b884c5"])
def test_a_name_can_be_read_and_copied_before_it_is_rendered(name):
    assert escape(name) == name
