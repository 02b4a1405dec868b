from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from asv.graph import RESAMPLED_POINTS, make_summary_graph
from asv.graph import Graph as AsvGraph
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mobileopt.publishing.graphs import Graph
from mobileopt.publishing.summaries import summary

Rows = list[list[float | None]]


def graph(rows: Rows, first: int = 0) -> Graph:
    values = np.array(rows, float).reshape(len(rows), -1)
    revisions = np.arange(first, first + len(rows))
    return Graph("b", {}, False, revisions, {"value": values}, np.empty((2, 0)))


def of_asv(rows: Rows, first: int) -> AsvGraph:
    made = AsvGraph("b", {})
    for revision, row in enumerate(rows, first):
        made.add_data_point(revision, row)
    return made


VALUES = st.none() | st.floats(1e-3, 1e3) | st.sampled_from([0.0, -2.0])
GRAPHS = st.integers(1, 2).flatmap(
    lambda width: st.tuples(
        st.lists(st.lists(VALUES, min_size=width, max_size=width), min_size=1, max_size=14),
        st.integers(0, 4),
    )
)


@settings(deadline=None)
@given(st.lists(GRAPHS, min_size=1, max_size=3))
def test_a_summary_is_asvs_own_whatever_gaps_its_series_have(drawn: list[tuple[Rows, int]]):
    assume(any(value is not None for rows, _ in drawn for row in rows for value in row))
    asv: Any = make_summary_graph([of_asv(rows, first) for rows, first in drawn]).get_data()
    found = summary([graph(rows, first) for rows, first in drawn])
    assert [x for x, _ in found] == [x for x, *_ in asv]
    ours, theirs = ([math.nan if y is None else y for _, y, *_ in each] for each in (found, asv))
    assert ours == pytest.approx(theirs, rel=1e-9, nan_ok=True)


def test_a_short_gap_of_one_series_is_bridged_and_one_of_all_stays():
    one, other = [[2.0]] * 9, [[8.0]] * 9
    one[4] = [None]
    assert summary([graph(one), graph(other)])[4] == (4, pytest.approx(4.0))
    other[4] = [None]
    assert summary([graph(one), graph(other)])[4] == (4, None)


def test_a_series_that_ended_long_ago_weighs_nothing_in_what_came_after():
    ended, goes_on = [[2.0]] * 3, [[8.0]] * 9
    found = summary([graph(ended), graph(goes_on)])
    assert [y for _, y in found] == pytest.approx([4.0] * 3 + [8.0] * 6)


def test_a_long_history_is_thinned_to_what_can_be_drawn():
    found = summary([graph([[1.0 + number % 2] for number in range(3000)])])
    assert 100 < len(found) < 2 * RESAMPLED_POINTS
    assert found == sorted(found)
