from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import site_store

from mobileopt.history import collect
from mobileopt.store import Store

DOUBTED = ("resnet18", "fx-float-nchw-eager")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> site_store.Project:
    project = site_store.build(tmp_path_factory.mktemp("changes") / "lab", commits=12)
    site_store.doubt(project, 8, DOUBTED, "suspect", ["hot"])
    site_store.doubt(project, 9, DOUBTED, "invalid", ["screen on"])
    done = project.run("tools.publish")
    assert done.returncode == 0, done.stderr
    return project


def loaded(project: site_store.Project, name: str) -> Any:
    return json.loads((project.html / "mobileopt" / name).read_text())


def series(project: site_store.Project, benchmark: str, machine: str, index: int) -> Any:
    graphs = loaded(project, "series.json")["graphs"]
    (graph,) = [
        each
        for each in graphs
        if (each["benchmark"], each["params"]["machine"]) == (benchmark, machine)
    ]
    return json.loads((project.html / graph["folder"] / f"{index}.json").read_text())


def position(model: str, recipe: str) -> int:
    recipes = list(site_store.SPEEDS)
    return list(site_store.MODELS).index(model) * len(recipes) + recipes.index(recipe)


def test_the_page_has_the_changes_the_command_line_has(project: site_store.Project):
    shown = loaded(project, "changes.json")["changes"]
    expected = collect(Store(project.folder / "results"), repository=project.folder)
    told = {(e.machine, e.metric.name, e.subject, e.first_after, e.state) for e in expected}
    assert len(shown) == 2 * len(site_store.MODELS)
    assert {
        (e["machine"], e["metric"], e["subject"], e["commits"][-1], e["state"]) for e in shown
    } == told


def test_a_change_has_its_size_interval_levels_and_commits(project: site_store.Project):
    change = loaded(project, "changes.json")["changes"][0]
    assert change["size"] == pytest.approx(0.5)
    assert change["low"] <= change["size"] <= change["high"]
    assert change["after"] / change["before"] == pytest.approx(1.5)
    assert change["commits"] == [project.commits[3]]
    assert change["title"] == "work 3"
    assert change["choice"]["recipe"] == repr(site_store.REGRESSED)


def test_the_results_around_a_change_stand_on_both_sides(project: site_store.Project):
    for change in loaded(project, "changes.json")["changes"]:
        values, at = change["around"]["values"], change["around"]["at"]
        assert max(values[:at]) < min(values[at:])


def test_the_page_says_how_much_was_looked_at(project: site_store.Project):
    page = loaded(project, "changes.json")
    # One of the recipes does not exist for the smallest model.
    combinations = len(site_store.MODELS) * len(site_store.SPEEDS) - 1
    assert page["series"] == 2 * combinations * len(site_store.UNITS)
    assert page["machines"] == 2


def test_a_series_has_asvs_values_with_intervals_and_quartiles(project: site_store.Project):
    found = series(project, "latency.time_forward", "bench-01", position(*DOUBTED))
    assert len(found["value"]) == 12
    for low, first, value, third, high in zip(
        *(found[name] for name in ("low", "q25", "value", "q75", "high")), strict=True
    ):
        assert low < value < high
        assert first < value < third
    assert found["n"] == [40] * 12


def test_what_has_no_interval_has_none(project: site_store.Project):
    found = series(project, "size.track_artifact", "bench-01", 0)
    assert set(found["low"]) == {None}
    assert set(found["q25"]) == {None}
    assert all(math.isfinite(value) for value in found["value"])


def test_doubts_stand_at_their_commits_with_their_reasons(project: site_store.Project):
    found = series(project, "latency.time_forward", "bench-01", position(*DOUBTED))
    assert found["doubts"] == [
        {"revision": 8, "verdict": "suspect", "reasons": ["hot"], "value": None},
        {"revision": 9, "verdict": "invalid", "reasons": ["screen on"], "value": 0.09},
    ]
    other = series(project, "latency.time_forward", "bench-01", 0)
    assert other["doubts"] == []


def test_a_series_knows_its_changes(project: site_store.Project):
    found = series(
        project, "memory.peakmem_forward", "pixel-4a", position("resnet18", site_store.REGRESSED)
    )
    (change,) = found["changes"]
    assert (change["revision"], change["direction"], change["state"]) == (3, "worse", "open")


def test_a_new_doubt_is_drawn_though_no_value_changed(tmp_path: Path):
    project = site_store.build(tmp_path / "lab")
    assert project.run("tools.publish").returncode == 0
    site_store.doubt(project, 2, DOUBTED, "suspect", ["hot"])
    assert project.run("tools.publish").returncode == 0
    found = series(project, "latency.time_forward", "bench-01", position(*DOUBTED))
    assert [each["reasons"] for each in found["doubts"]] == [["hot"]]


def test_names_of_files_come_from_no_result_file(tmp_path: Path):
    project = site_store.build(tmp_path / "lab", machines=("../../<img>",), extra="../etc")
    assert project.run("tools.publish").returncode == 0
    folder = project.html / "mobileopt" / "series"
    assert all(len(each.name) == 16 and each.name.isalnum() for each in folder.iterdir())


def test_an_accepted_worsening_is_told_with_its_reason(tmp_path: Path):
    project = site_store.build(tmp_path / "lab")
    (project.folder / "mobileopt-accepted.toml").write_text(
        "[[accepted]]\nmetric = '*'\nvariant = '*'\nup_to = 2.0\n"
        "reason = 'carries its own <b>tables</b>'\nexpires = 2999-01-01\n"
    )
    site_store.git(project.folder, "add", "mobileopt-accepted.toml")
    site_store.git(project.folder, "commit", "-q", "-m", "Accept")
    assert project.run("tools.publish").returncode == 0
    changes = loaded(project, "changes.json")["changes"]
    assert {(each["state"], each["reason"]) for each in changes} == {
        ("accepted", "carries its own <b>tables</b>")
    }
