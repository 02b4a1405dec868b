from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from asv.graph import Graph as AsvGraph
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_repository import LATENCY, VARIANT, store

from mobileopt.publishing import graphs
from mobileopt.publishing.graphs import COLUMNS, Graph, Place
from mobileopt.store.table import Builder, Table

COMMITS = [f"{number:02x}" * 20 for number in range(4)]
HERE = {"machine": "pixel6", "branch": "main"}


def table(folder: Path) -> Table:
    builder = Builder()
    for path in sorted(folder.glob("*/????????-*.json")):
        builder.add(folder, path)
    return builder.table()


def listed(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "benchmarks.json").read_text())
    return {name: each for name, each in found.items() if name != "version"}


def build(folder: Path, places: Iterable[Place], **changed: Any) -> list[Graph]:
    """The graphs of a store's benchmark, of which asv lists something else."""
    benchmarks = {name: each | changed for name, each in listed(folder).items()}
    return list(graphs.build(table(folder), benchmarks, places))


def test_rows_stand_in_the_order_of_revisions_whatever_the_order_of_the_files(tmp_path: Path):
    store(tmp_path, COMMITS, [1.0, 2.0, 3.0, 4.0])
    (graph,) = build(tmp_path, [(index, 10 - index, HERE) for index in range(4)])
    assert graph.revisions.tolist() == [7, 8, 9, 10]
    assert graph.values[:, 0].tolist() == [4.0, 3.0, 2.0, 1.0]
    assert graph.sources.tolist() == [[0, 1, 2, 3], [3, 2, 1, 0]]


def test_a_commit_on_two_branches_is_in_a_graph_of_each(tmp_path: Path):
    store(tmp_path, COMMITS[:2], [1.0, 2.0])
    side = HERE | {"branch": "side"}
    found = build(tmp_path, [(0, 0, HERE), (0, 0, side), (1, 1, HERE)])
    assert {each.params["branch"]: each.revisions.tolist() for each in found} == {
        "main": [0, 1],
        "side": [0],
    }


def test_two_results_of_one_commit_are_their_mean_in_the_widest_interval(tmp_path: Path):
    for environment, value in (("py3.11", 1.0), ("py3.12", 3.0)):
        store(tmp_path, COMMITS[:1], [value], environment=environment)
    found = table(tmp_path)
    found.cells["ci_low"] = np.array([0.5, 2.5])
    found.cells["ci_high"] = np.array([1.5, 3.5])
    (graph,) = graphs.build(found, listed(tmp_path), [(0, 5, HERE), (1, 5, HERE)])
    assert graph.revisions.tolist() == [5]
    shown = {name: graph.columns[name].tolist() for name in ("value", "ci_low", "ci_high")}
    assert shown == {"value": [[2.0]], "ci_low": [[0.5]], "ci_high": [[3.5]]}


def test_results_of_a_version_that_asv_does_not_list_are_in_no_graph(tmp_path: Path):
    store(tmp_path, COMMITS[:1], [1.0])
    assert build(tmp_path, [(0, 0, HERE)], version="2") == []
    assert len(build(tmp_path, [(0, 0, HERE)], version="1")) == 1
    assert list(graphs.build(table(tmp_path), {}, [(0, 0, HERE)])) == []


def test_a_value_follows_its_combination_when_the_list_of_them_changes(tmp_path: Path):
    store(tmp_path, COMMITS[:1], [1.0])
    (graph,) = build(tmp_path, [(0, 0, HERE)], params=[["'newer'", repr(VARIANT)]])
    assert graph.get_data() == [(0, [None, 1.0], None)]


def test_an_infinite_value_is_a_gap_in_every_column(tmp_path: Path):
    store(tmp_path, COMMITS[:2], [1.0, 2.0])
    found = table(tmp_path)
    found.cells["value"][0] = math.inf
    (graph,) = graphs.build(found, listed(tmp_path), [(0, 0, HERE), (1, 1, HERE)])
    assert all(np.isnan(graph.columns[name][0]).all() for name in COLUMNS)
    assert graph.columns["n"].tolist()[1] == [3]


def drawn(values: list[Any], scalar: bool) -> Graph:
    rows = np.array(values, float).reshape(-1, 1 if scalar else 2)
    empty = np.empty((2, 0))
    return Graph(LATENCY, HERE, scalar, np.arange(len(values)), {"value": rows}, empty)


MAYBE = st.none() | st.floats(-1e6, 1e6)


@settings(deadline=None)
@given(st.lists(MAYBE, max_size=7), st.lists(st.tuples(MAYBE, MAYBE), max_size=7))
def test_the_points_of_a_graph_are_those_of_asvs_own(one: list[Any], two: list[Any]):
    for values, scalar in ((one, True), ([list(each) for each in two], False)):
        asv = AsvGraph(LATENCY, HERE)
        for revision, value in enumerate(values):
            asv.add_data_point(revision, value)
        expected = [(revision, value, None) for revision, value, _ in asv.get_data()]
        assert drawn(values, scalar).get_data() == expected


def test_no_name_leads_a_graph_out_of_its_folder():
    params = {"machine": "../../<img>", "os": "/etc/a\\b", "branch": ".."}
    graph = Graph("../../evil", params, True, np.arange(0), {}, np.empty((2, 0)))
    first, *parts = graph.path.split("/")
    assert first == "graphs"
    assert len(parts) == len(params) + 1
    assert not {"", ".", ".."} & set(parts)
