"""Our publish beside asv's own, of the same store."""

from __future__ import annotations

import json
import os
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import site_store

GRAPH = "latency.time_forward.json"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """asv's site and ours, of one store with gaps, a tag, and an axis of one machine alone."""
    folder = tmp_path_factory.mktemp("both")
    project = site_store.build(folder / "lab", extra="os_build")
    assert project.run("asv", "publish").returncode == 0
    shutil.copytree(project.html, folder / "asv")
    done = project.run("tools.publish")
    assert done.returncode == 0, done.stderr
    return folder / "asv", project.html


def loaded(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def graphs(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in (folder / "graphs").rglob("*.json")}


def numbers(publication: Path) -> dict[str, int]:
    return {
        str(path.relative_to(publication)): path.stat().st_ino
        for path in (publication / "graphs").rglob(GRAPH)
    }


def test_the_same_files_are_there(both: tuple[Path, Path]):
    asv, ours = both
    assert graphs(ours) == graphs(asv)


def test_every_graph_holds_asvs_values(both: tuple[Path, Path]):
    asv, ours = both
    compared = 0
    for name in graphs(asv):
        if not name.startswith("graphs/summary/") and not name.endswith("/summary.json"):
            assert loaded(ours, name) == loaded(asv, name)
            compared += 1
    assert compared == 2 * len(site_store.UNITS)


def test_every_summary_graph_holds_asvs_values(both: tuple[Path, Path]):
    asv, ours = both
    for name in sorted(graphs(asv)):
        if name.startswith("graphs/summary/"):
            for one, other in zip(loaded(ours, name), loaded(asv, name), strict=True):
                assert one == pytest.approx(other, rel=1e-12)


def test_the_index_is_asvs(both: tuple[Path, Path]):
    asv, ours = both
    assert loaded(ours, "index.json") == loaded(asv, "index.json")


def test_the_list_has_asvs_rows_with_the_levels_of_our_steps(both: tuple[Path, Path]):
    asv, ours = both
    for name in (each for each in graphs(asv) if each.endswith("/summary.json")):
        rows, others = loaded(ours, name), loaded(asv, name)
        assert [(row["name"], row["idx"], row["last_rev"]) for row in rows] == [
            (row["name"], row["idx"], row["last_rev"]) for row in others
        ]
        assert all(row["last_value"] is None or row["last_value"] >= 0 for row in rows)


def test_a_step_is_a_regression_of_asvs_page_and_feed(both: tuple[Path, Path]):
    _, ours = both
    found = loaded(ours, "regressions.json")["regressions"]
    stepped = [each for each in found if site_store.REGRESSED in each[0]]
    assert {each[0].partition("(")[0] for each in stepped} == {"memory.peakmem_forward"}
    assert all(jump[3] / jump[2] == pytest.approx(1.5) for each in stepped for jump in each[6])
    feed = ET.parse(ours / "regressions.xml").getroot()
    titles = [each.findtext("{http://www.w3.org/2005/Atom}title") for each in feed]
    assert any(title and title.startswith("50.00% memory.peakmem_forward") for title in titles)


@pytest.fixture
def project(tmp_path: Path) -> site_store.Project:
    return site_store.build(tmp_path / "lab")


def add_a_result(project: site_store.Project) -> Path:
    """Machine 1 gets the newest commit, as machine 0 has it."""
    source, target = project.folder / "results/machine-0", project.folder / "results/machine-1"
    (path,) = source.glob(f"{project.commits[-1][:8]}-*.json")
    text = path.read_text().replace('"machine": "bench-01"', '"machine": "pixel-4a"')
    (target / path.name).write_text(text)
    return target / path.name


def test_an_unchanged_graph_is_the_file_of_the_last_publish(project: site_store.Project):
    assert project.run("tools.publish").returncode == 0
    before = numbers(project.html)
    assert project.run("tools.publish").returncode == 0
    assert numbers(project.html) == before


def test_only_graphs_with_a_new_result_are_written_again(project: site_store.Project):
    assert project.run("tools.publish").returncode == 0
    before = numbers(project.html)
    add_a_result(project)
    assert project.run("tools.publish").returncode == 0
    after = numbers(project.html)
    changed = {name for name in before if before[name] != after[name]}
    assert {name for name in before if "pixel-4a" in name or "summary" in name} == changed


def test_what_is_linked_is_what_a_publish_from_nothing_writes(project: site_store.Project):
    assert project.run("tools.publish").returncode == 0
    add_a_result(project)
    assert project.run("tools.publish").returncode == 0
    done = project.run(
        "tools.publish", "--html", "fresh", XDG_CACHE_HOME=os.environ.get("XDG_CACHE_HOME", "")
    )
    assert done.returncode == 0, done.stderr
    for name in graphs(project.html) | {"regressions.json", "mobileopt/variants.json"}:
        assert (project.html / name).read_bytes() == (project.folder / "fresh" / name).read_bytes()


def test_a_damaged_result_file_costs_itself_and_is_named(project: site_store.Project):
    path = add_a_result(project)
    path.write_text(path.read_text()[:1000])
    done = project.run("tools.publish")
    assert done.returncode == 0
    (warning,) = done.stderr.strip().splitlines()
    assert path.name in warning


def test_a_damaged_machine_costs_its_results_and_is_named(project: site_store.Project):
    (project.folder / "results/machine-1/machine.json").write_text('{"machine": ')
    done = project.run("tools.publish")
    assert done.returncode == 0
    assert "machine-1 was skipped" in done.stderr
    assert list(loaded(project.html, "index.json")["machines"]) == ["bench-01"]


def test_results_of_another_machine_than_their_folders_are_left_out(project: site_store.Project):
    path = add_a_result(project)
    path.write_text(path.read_text().replace("pixel-4a", "somebody else"))
    done = project.run("tools.publish")
    assert done.returncode == 0
    assert "is not of machine 'pixel-4a'" in done.stderr


def test_a_commit_git_does_not_know_is_left_out_and_named(project: site_store.Project):
    path = add_a_result(project)
    path.write_text(path.read_text().replace(project.commits[-1], "f" * 40))
    path.rename(path.with_name(path.name.replace(project.commits[-1][:8], "f" * 8)))
    done = project.run("tools.publish")
    assert done.returncode == 0
    assert "Couldn't find ffffffff in branches (main)" in done.stderr
    assert "f" * 40 not in (project.html / "index.json").read_text()


def test_an_empty_store_is_a_site_too(project: site_store.Project):
    for path in (project.folder / "results").glob("machine-*/*.json"):
        path.unlink()
    done = project.run("tools.publish")
    assert done.returncode == 0, done.stderr
    assert loaded(project.html, "regressions.json") == {"regressions": []}
