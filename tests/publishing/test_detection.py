from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_repository import QUIET, scaled

from mobileopt.publishing import detection
from mobileopt.publishing.detection import Branch, Detected, Placed, SteppedGraph, steps
from mobileopt.publishing.graphs import Graph

SLOW = scaled(1.2)
N = len(QUIET)
BENCHMARKS = {
    "b": {
        "unit": "seconds",
        "version": "1",
        "params": [["'net'", "'other'"]],
        "param_names": ["model"],
    }
}


def graph(values: list[Any], first: int = 0, scalar: bool = False, **params: str) -> Graph:
    """Of the first combination; of the second nothing was measured."""
    rows = np.array([[value, None] for value in values], float).reshape(-1, 2)
    named = {"machine": "pixel6", "os": "14", "branch": "main"} | params
    revisions = np.arange(first, first + len(values))
    return Graph("b", named, scalar, revisions, {"value": rows}, np.empty((2, 0)))


def detect(folder: Path, *drawn: Graph, reached: int = 2 * N + 2) -> Detected:
    commits = {revision: f"{revision:040x}" for revision in range(2 * N + 2)}
    dates = {commit: revision * 86_400_000 for revision, commit in commits.items()}
    branch = Branch(drawn, tuple(commits.values())[:reached], commits, dates)
    return detection.detect(folder / "analyses.npz", [branch], BENCHMARKS)


def test_a_change_is_placed_at_the_first_result_of_its_new_level(tmp_path: Path):
    drawn = graph([*QUIET, None, None, *SLOW])
    (found,) = detect(tmp_path, drawn).placed
    assert (found.graph, found.combination, found.row) == (drawn, 0, N + 2)
    assert len(found.change.span) == 3


def test_a_series_that_goes_on_under_another_system_is_one_series(tmp_path: Path):
    old, new = graph(QUIET), graph(SLOW, first=N, os="15")
    found = detect(tmp_path, old, new)
    (placed,) = found.placed
    assert (found.series, placed.graph, placed.row) == (1, new, 0)
    assert [(first, stop) for first, stop, *_ in steps(old, 0, found)] == [(0, N)]
    assert [(first, stop) for first, stop, *_ in steps(new, 0, found)] == [(N, 2 * N)]


def test_what_was_looked_at_are_series_with_results_on_every_machine(tmp_path: Path):
    nothing = graph([None] * N, machine="nowhere")
    found = detect(tmp_path, graph(QUIET), graph(QUIET, machine="host"), nothing)
    assert (found.series, found.machines, len(found.placed)) == (2, 2, 0)


def test_results_of_commits_that_a_branch_does_not_reach_are_no_change(tmp_path: Path):
    drawn = graph([*QUIET, *SLOW])
    assert len(detect(tmp_path, drawn, reached=2 * N).placed) == 1
    assert detect(tmp_path, drawn, reached=N).placed == []


def test_a_graph_of_one_series_has_its_steps_and_another_those_of_each(tmp_path: Path):
    one, many = graph(QUIET, scalar=True), graph(QUIET)
    found = detect(tmp_path, one)
    (step,) = SteppedGraph(one, found).get_steps()
    assert SteppedGraph(many, found).get_steps() == [[step], []]


@st.composite
def stepped(draw: st.DrawFn) -> tuple[list[float | None], list[int]]:
    values = draw(st.lists(st.none() | st.floats(0.1, 10), min_size=1, max_size=12))
    measured = [row for row, value in enumerate(values) if value is not None]
    return values, draw(st.lists(st.sampled_from(measured), unique=True)) if measured else []


@settings(deadline=None)
@given(stepped())
def test_every_result_lies_in_one_step_and_a_step_in_no_other(
    drawn: tuple[list[float | None], list[int]],
):
    values, borders = drawn
    shown = graph(values, first=100)
    change: Any = None
    found = list(steps(shown, 0, Detected([Placed(change, shown, 0, b) for b in borders], 1, 1)))
    inside = [
        [value for value in values[first - 100 : stop - 100] if value is not None]
        for first, stop, *_ in found
    ]
    assert sum(map(len, inside)) == sum(value is not None for value in values)
    assert [(level, least) for _, _, level, least, _ in found] == [
        (median(each), min(each)) for each in inside
    ]
    assert {first for first, *_ in found} >= {100 + border for border in borders}
