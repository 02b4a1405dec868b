from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import site_store
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.asv_plugin import variants
from mobileopt.publishing.graphs import Graph
from mobileopt.variant import BASELINE

POSITIVE = st.floats(1e-6, 1e3)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> site_store.Project:
    project = site_store.build(tmp_path_factory.mktemp("variants") / "lab")
    done = project.run("asv", "publish")
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture(scope="module")
def data(project: site_store.Project) -> dict[str, Any]:
    return json.loads((project.html / "mobileopt" / "variants.json").read_text())


def row(data: dict[str, Any], machine: str, model: str, recipe: str) -> dict[str, Any]:
    (environment,) = [each for each in data["environments"] if each["label"] == machine]
    (found,) = [each for each in environment["models"] if each["model"] == model]
    (wanted,) = [each for each in found["rows"] if each["recipe"] == recipe]
    return wanted


def samples(project: site_store.Project, folder: str, commit: str, model: str, recipe: str) -> Any:
    (path,) = (project.folder / "results" / folder).glob(f"{commit[:8]}-*.json")
    stored = json.loads(path.read_text())
    position = list(site_store.MODELS).index(model) * len(site_store.SPEEDS)
    position += list(site_store.SPEEDS).index(recipe)
    column = stored["result_columns"].index("samples")
    return stored["results"]["latency.time_forward"][column][position]


def test_the_latency_is_the_median_of_the_newest_commits_samples(project, data):
    cell = row(data, "bench-01", "resnet18", "fx-float-nchw-eager")["cells"]["latency"]
    taken = samples(project, "machine-0", project.commits[-1], "resnet18", "fx-float-nchw-eager")
    assert cell["value"] == pytest.approx(statistics.median(taken))
    assert cell["low"] < cell["value"] < cell["high"]
    assert min(taken) <= cell["low"]
    assert cell["high"] <= max(taken)


def test_a_gap_at_the_newest_commit_falls_back_to_the_one_before(project, data):
    cells = row(data, "bench-01", "resnet18", "fx-float-nhwc-mobile")["cells"]
    assert cells["latency"]["commit"] == project.commits[-2]
    assert cells["size"]["commit"] == project.commits[-1]
    assert "low" in cells["latency"]


def test_a_machine_that_missed_a_commit_keeps_its_last_one(project, data):
    cells = row(data, "pixel-4a", "resnet18", "fx-float-nchw-eager")["cells"]
    assert cells["latency"]["commit"] == project.commits[-2]


def test_a_ratio_is_that_of_the_medians_and_its_interval_holds_it(data):
    base = row(data, "bench-01", "mobilenet_v2", str(BASELINE))["cells"]["latency"]
    fast = row(data, "bench-01", "mobilenet_v2", "fused-int8_x86-nhwc-torchscript")
    ratio, cell = fast["ratio"], fast["cells"]["latency"]
    assert ratio["value"] == pytest.approx(base["value"] / cell["value"])
    assert ratio["low"] < ratio["value"] < ratio["high"]
    assert ratio["low"] == pytest.approx(base["low"] / cell["high"])


def test_the_machine_with_the_newest_commit_comes_first(data):
    assert [each["label"] for each in data["environments"]] == ["bench-01", "pixel-4a"]


def test_a_combination_without_any_figure_has_no_row(data):
    models = data["environments"][0]["models"]
    (small,) = [each for each in models if each["model"] == "annotated_conv_bn_relu"]
    assert "unfused-float-nchw-lite" not in [each["recipe"] for each in small["rows"]]


def test_a_value_on_the_page_is_the_last_point_of_the_graph_it_links_to(project, data):
    (path,) = (project.html / "graphs").rglob("machine-bench-01/**/latency.time_forward.json")
    points = json.loads(path.read_text())
    first = row(data, "bench-01", "annotated_conv_bn_relu", str(BASELINE))
    assert first["cells"]["latency"]["value"] == points[-1][1][0]


def test_a_store_without_the_benchmarks_gives_a_page_without_environments(tmp_path: Path):
    project = site_store.build(tmp_path / "lab")
    empty = {"version": 2}
    (project.folder / "results" / "benchmarks.json").write_text(json.dumps(empty))
    assert project.run("asv", "publish").returncode == 0
    page = json.loads((project.html / "mobileopt" / "variants.json").read_text())
    assert page["environments"] == []


def test_a_benchmark_with_other_axes_is_left_out_with_a_warning(tmp_path: Path):
    project = site_store.build(tmp_path / "lab")
    path = project.folder / "results" / "benchmarks.json"
    benchmarks = json.loads(path.read_text())
    benchmarks["size.track_artifact"]["param_names"] = ["model", "engine"]
    path.write_text(json.dumps(benchmarks))
    done = project.run("asv", "publish")
    assert "size.track_artifact is left out of the Variants page" in done.stdout
    page = json.loads((project.html / "mobileopt" / "variants.json").read_text())
    assert "size" not in page["environments"][0]["models"][0]["rows"][0]["cells"]


def test_environments_of_one_machine_are_told_apart_by_what_differs():
    common = {"machine": "m", "python": "3.11", "cpu": "x", "branch": "main"}
    old, new = {**common, "torch": "2.5"}, {**common, "torch": "2.12"}
    other = {**common, "machine": "n", "torch": "2.12"}
    every = [old, new, other]
    assert [variants._label(each, every) for each in every] == [
        "m, torch 2.5",
        "m, torch 2.12",
        "n",
    ]


@given(base=POSITIVE, mine=POSITIVE, spread=st.floats(0, 0.5), mine_spread=st.floats(0, 0.5))
def test_the_interval_of_a_ratio_always_holds_the_ratio(base, mine, spread, mine_spread):
    def cell(value: float, by: float) -> dict[str, float]:
        return {"value": value, "low": value * (1 - by), "high": value * (1 + by)}

    ratio = variants._ratio(cell(base, spread), cell(mine, mine_spread))
    assert ratio is not None
    slack = 1e-9 * ratio["value"]
    assert ratio["low"] - slack <= ratio["value"] <= ratio["high"] + slack


def test_a_latency_of_zero_has_no_ratio():
    assert variants._ratio({"value": 1.0}, {"value": 0.0}) is None


def test_the_baseline_has_no_interval_against_itself():
    cell = {"value": 1.0, "low": 0.9, "high": 1.1}
    assert variants._ratio(cell, cell) == {"value": 1.0}


def timed(recipe: str, seconds: float) -> dict[str, Any]:
    return variants._row(repr(recipe), {"latency": {"value": seconds}})


def test_where_the_baseline_does_not_run_what_is_nearest_to_it_takes_its_place():
    rows = [
        timed("fused-int8_qnnpack-nhwc-mobile", 0.02),
        timed("unfused-float-nchw-mobile", 0.04),
        timed("unfused-float-nhwc-mobile", 0.01),
    ]
    model = variants._with_ratios(repr("m"), rows)
    assert model["baseline"] == "unfused-float-nchw-mobile"
    assert [row["ratio"]["value"] for row in model["rows"]] == [2.0, 1.0, 4.0]


def test_where_nothing_was_timed_there_is_no_ratio():
    row = variants._row(repr(str(BASELINE)), {"size": {"value": 3.0}})
    model = variants._with_ratios(repr("m"), [row])
    assert model["baseline"] == str(BASELINE)
    assert "ratio" not in model["rows"][0]


@pytest.mark.parametrize("low", [math.nan, -math.inf])
def test_an_interval_without_two_finite_ends_is_none(low: float):
    columns = {name: np.array([[1.0]]) for name in ("value", "ci_high")}
    columns["ci_low"] = np.array([[low]])
    graph = Graph("b", {}, False, np.array([7]), columns, np.empty((2, 0)))
    assert variants._cell(graph, 0, {7: "abc"}, with_interval=True) == {
        "value": 1.0,
        "commit": "abc",
        "revision": 7,
    }


@given(st.text())
def test_any_text_survives_the_form_asv_keeps_parameters_in(text: str):
    assert variants._text(repr(text)) == text


@given(st.text())
def test_a_parameter_that_is_no_literal_is_shown_as_it_stands(text: str):
    assert isinstance(variants._text(text), str)
