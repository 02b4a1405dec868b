"""A lab for tests of collecting: made-up artifacts, a program as fast as a shell, short waits."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mobileopt import artifact
from mobileopt.adb import Server, fleet
from mobileopt.artifact import Artifact, Fidelity, Input
from mobileopt.collection import Collection, Commit, Order, Outcome
from mobileopt.collection.exports import Exports
from mobileopt.collection.programs import given
from mobileopt.collection.storing import environment
from mobileopt.run import Plan
from mobileopt.sampling import Budget
from mobileopt.store import Benchmark, Entry, Store
from mobileopt.validity import thresholds
from mobileopt.variant import Variant

MODELS = ("mlp", "resnet18")
RECIPES = ("unfused-float-nchw-mobile", "fused-float-nchw-mobile")
VARIANTS = tuple(Variant.parse(f"{model}/{recipe}") for model in MODELS for recipe in RECIPES)
BENCHMARK = Benchmark(
    "latency.time_forward", "2", "seconds", (MODELS, RECIPES), ("model", "recipe")
)
VERSIONS = {"torch": "2.12.1", "torchvision": "0.27.1"}
COMMIT = Commit("a" * 40, datetime(2026, 11, 1, tzinfo=UTC))
PROGRAM = Path(__file__).parents[1] / "loopback" / "quick_benchmark.sh"


def order(folder: Path, variants: Sequence[Variant] = VARIANTS, **more: Any) -> Order:
    """An order whose artifacts are there already; `folder` is the test's own."""
    made = Order(
        store=folder / "results",
        commit=COMMIT,
        benchmark=BENCHMARK,
        variants=tuple(variants),
        exports=folder / "exports",
        locks=folder / "locks",
        repository=folder,
        versions=VERSIONS,
        programs=(program(folder),),
        plan=Plan(iterations=4, warmup=1, threads=1),
        budget=Budget(rounds=2, seconds=20),
        deadline=3,
        patience=2,
        entry=replace(thresholds()[0], cooldown=1.0, poll=0.1),
    )
    made = replace(made, **more)
    for index, each in enumerate(variants):
        forge(made, each, size=1000 + index)
    return made


def program(folder: Path, text: str = "") -> Any:
    """The fast program, in a file of the test's own."""
    folder.mkdir(exist_ok=True)
    path = folder / "speed_benchmark_torch"
    path.write_text(text or PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")
    return given(str(path))


def forge(order: Order, variant: Variant, size: int, engine: str | None = None) -> Artifact:
    """An artifact as an export would leave it, of so many bytes."""
    exports = Exports(order.exports, order.repository, order.commit, order.versions)
    folder = exports.folder / "files" / variant.model / str(variant.recipe)
    folder.mkdir(parents=True, exist_ok=True)
    data = (hashlib.sha256(str(variant).encode()).digest() * size)[:size]
    (folder / "model.pt").write_bytes(data)
    made = Artifact(
        variant=variant,
        file="model.pt",
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        inputs=(Input((1, 3, 8, 8), "float32", "contiguous_format"),),
        engine=engine,
        weights="seeded",
        calibration=None,
        fidelity=Fidelity(0.0, 1.0, 0.0, 1),
        left={},
        versions=VERSIONS,
        folder=folder,
    )
    artifact.write(made)
    return made


def collect(order: Order, server: Any, watch: Any = lambda _: None) -> tuple[Outcome, ...]:
    """Collect on every usable phone behind the server."""
    found = [(e.device, e.phone) for e in fleet.find(server) if e.device and e.phone]
    return Collection(order, watch).run(found)


def values(order: Order) -> Mapping[tuple[str, str], float]:
    """What the store holds, by device and variant."""
    frame = Store(order.store).frame()
    rows = frame[frame["status"] == "measured"]
    if rows.empty:
        return {}
    names = zip(rows["machine"], rows["model"], rows["recipe"], rows["value"], strict=True)
    return {(machine, f"{model}/{recipe}"): value for machine, model, recipe, value in names}


def knobs(root: Any, text: str, name: str = "all") -> None:
    """Tell the program on a phone what is to go wrong, once it is there."""
    for each in (root.folder / "data/local/tmp/mobileopt/bin").glob("*/speed_benchmark_torch"):
        folder = each.with_name(f"{each.name}.d")
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def old_result(order: Order, device_name: str, variant: Variant) -> Entry:
    """A good value from before: half a second, of January."""
    day = datetime(2026, 1, 1, tzinfo=UTC)
    return Entry(
        run=f"before-{device_name}",
        machine={"machine": device_name, "os": "", "arch": "", "cpu": "", "num_cpu": "", "ram": ""},
        commit=order.commit.hash,
        date=order.commit.date,
        environment=environment(order.versions),
        benchmark=order.benchmark,
        started_at=day,
        combination=(variant.model, str(variant.recipe)),
        samples=(0.5, 0.5),
    )


def leftovers(root: Any) -> list[str]:
    """What is on a phone and should not be: everything but programs, and what still runs."""
    work = root.folder / "data/local/tmp"
    programs = work / "mobileopt/bin"
    files = [
        str(path.relative_to(work))
        for path in sorted(work.rglob("*"))
        if path.is_file() and programs not in path.parents
    ]
    parts = [path.name for path in programs.rglob("*.part")]
    running = subprocess.run(
        ["pgrep", "-af", f"{root.folder}/data/local/tmp/mobileopt"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    mode = root.folder / "state/fixed_performance"
    held = ["fixed performance"] if mode.exists() and mode.read_text() != "false\n" else []
    return [*files, *parts, *running, *held]


def child(folder: str, port: int, redo: bool, store: str) -> None:
    """A collection in a process of its own, to be killed."""
    os.environ["ANDROID_ADB_SERVER_PORT"] = str(port)
    try:
        made = order(Path(folder), VARIANTS, redo=redo, store=Path(store))
        collect(made, Server("127.0.0.1", port))
    except KeyboardInterrupt:
        os._exit(130)
    os._exit(0)
