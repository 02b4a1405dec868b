"""A step in the history of one phone, as asv itself shows it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import site_store

from mobileopt.collection.storing import environment
from mobileopt.store import Entry, Store
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]

COUNT, STEP, FACTOR = 14, 9, 1.3
SLOWER = lab.VARIANTS[3]


@pytest.fixture
def captured(server, plug, tmp_path) -> Store:
    """What two phones really gave for one commit."""
    plug("ONE"), plug("TWO")
    order = lab.order(tmp_path / "captured")
    lab.collect(order, server)
    return Store(order.store)


@pytest.fixture
def history(captured: Store, tmp_path) -> tuple[site_store.Project, str, list[str]]:
    """A history of the captured samples: the second phone slows by 30 % in one variant."""
    project = site_store.Project(tmp_path / "lab")
    project.folder.mkdir()
    site_store._write_conf(project.folder, (".mobileopt.asv_plugin",))
    project.commits = site_store._commits(project.folder, COUNT)
    frame = captured.frame(samples=True)
    rows = frame[frame["status"] == "measured"].to_dict("records")
    phones = sorted({row["machine"] for row in rows})
    generator = random.Random(1)
    for row in rows:
        for number, commit in enumerate(project.commits):
            slower = (row["machine"], row["model"], row["recipe"]) == (
                phones[1],
                SLOWER.model,
                str(SLOWER.recipe),
            )
            level = generator.lognormvariate(0, 0.01)
            level *= FACTOR if slower and number >= STEP else 1.0
            samples = tuple(float(each) * level for each in row["samples"])
            Store(project.folder / "results").add(entry(row, number, commit, samples))
    return project, phones[1], phones


def entry(row: dict, number: int, commit: str, samples: tuple[float, ...]) -> Entry:
    day = datetime(2026, 1, number + 1, 12, tzinfo=UTC)
    fields = ("machine", "os", "arch", "cpu", "num_cpu", "ram")
    return Entry(
        run=f"{number}-{row['machine']}",
        machine={name: str(row[name]) for name in fields},
        commit=commit,
        date=day,
        environment=environment(lab.VERSIONS),
        benchmark=lab.BENCHMARK,
        started_at=day + timedelta(hours=1),
        combination=(row["model"], row["recipe"]),
        samples=samples,
    )


@pytest.mark.slow
def test_a_step_on_one_phone_is_shown_there_alone_and_by_every_command(history):
    project, phone, phones = history
    done = project.run("asv", "publish")
    assert done.returncode == 0, done.stderr
    found = json.loads((project.html / "regressions.json").read_text())["regressions"]
    ((name, _, params, _, _, _, jumps),) = found
    assert SLOWER.model in name
    assert str(SLOWER.recipe) in name
    assert params["machine"] == phone
    ((_, revision, before, after),) = jumps
    assert after / before == pytest.approx(FACTOR, rel=0.05)
    assert _commit(project, revision) == project.commits[STEP]
    _shown_and_compared(project, phones)


def _commit(project: site_store.Project, revision: int) -> str:
    index = json.loads((project.html / "index.json").read_text())
    return index["revision_to_hash"][str(revision)]


def _shown_and_compared(project: site_store.Project, phones: list[str]) -> None:
    graphs = [path.parts for path in Path(project.html / "graphs").rglob("latency*.json")]
    for phone in phones:
        assert any(f"machine-{phone}" in parts for parts in graphs)
        shown = project.run("asv", "show", "--details", "-m", phone, project.commits[0])
        assert f"latency.time_forward [{phone}/phone-py" in shown.stdout
        assert "±0" in shown.stdout
        assert "samples: [[" in shown.stdout
    two = (project.commits[STEP - 1], project.commits[STEP])
    compared = project.run("asv", "compare", "-m", phones[1], "-f", "1.1", *two)
    worse = [line for line in compared.stdout.splitlines() if line.startswith("| +")]
    assert len(worse) == 1
    assert str(SLOWER.recipe) in worse[0]
