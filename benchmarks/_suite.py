"""What the benchmarks share: the parameters, and artifacts exported once a commit.

asv stores results by position, so these lists are literal and only ever grow at their end; taken
from a registry, or from what is installed, they would relabel history without a word.

This is the only file of the suite that imports mobileopt, and only when a benchmark runs:
discovery imports every file here, for old commits too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

MODELS = [
    "annotated_conv_bn_relu",
    "mobilenet_v2",
    "resnet18",
    "mlp",
    "mobilenet_v3_large",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "efficientnet_b0",
]

RECIPES = [
    "unfused-float-nchw-eager",
    "unfused-float-nchw-torchscript",
    "fx-float-nchw-torchscript",
    "unfused-float-nchw-mobile",
    "fused-float-nchw-mobile",
    "unfused-float-nhwc-mobile",
    "fused-float-nhwc-mobile",
    "fused-int8_qnnpack-nhwc-mobile",
    "fused-int8_x86-nhwc-mobile",
    "fused-float-nchw-eager",
    "fx-float-nchw-eager",
    "unfused-float-nhwc-eager",
    "unfused-float-nhwc_inside-mobile",
    "fused-float-nhwc-lite",
    "fused-int8_x86-nhwc-torchscript",
    "unfused-float-nchw-executorch",
    "fused-float-nhwc-executorch",
    "fused-int8_xnnpack-nchw-executorch",
    "fused-int8_onednn-nhwc-mobile",
    "fused-int8_dynamic_qnnpack-nchw-mobile",
    "fused-int8_dynamic_x86-nchw-mobile",
]

OPTIMIZATIONS = ["fused", "fx", "int8_qnnpack", "int8_x86", "nhwc", "torchscript", "mobile"]

CORE_MODELS = MODELS[:3]
QUICK_RECIPES = [
    *RECIPES[:9],
    "unfused-float-nchw-executorch",
    "fused-int8_xnnpack-nchw-executorch",
]
"""What `make bench` measures of the core models; the other models run only these."""

PARAMS = [MODELS, RECIPES]
PARAM_NAMES = ["model", "recipe"]


def not_measured(model: str, recipe: str) -> str | None:
    """Why a combination is n/a by design, or None."""
    if model == "mlp" and "-nhwc" in recipe:
        return "mlp has 2-D inputs, which have no NHWC layout"
    if "-int8_dynamic" in recipe:
        return None if model == "mlp" else "dynamic int8 is for linear layers: only mlp runs it"
    if model not in CORE_MODELS and recipe not in QUICK_RECIPES:
        return "only the core models run every recipe"
    return None


def setup_cache() -> str:
    """The folder for this commit's artifacts; asv makes it and removes it.

    All benchmarks share this one function, so they share the folder. It is filled on demand: a
    selection of benchmarks exports no more than it needs.
    """
    return str(Path.cwd())


@cache
def skip_or_export(folder: str, model: str, recipe: str) -> Path:
    """The artifact's folder; raises NotImplementedError, asv's n/a, with the reason.

    Asked again inside a timed region it answers from memory, without touching a file.
    """
    if reason := not_measured(model, recipe):
        raise NotImplementedError(reason)
    told = Path(folder) / model / _group_file(recipe)
    if not told.exists():
        _export_group(Path(folder), model, recipe, told)
    refused = json.loads(told.read_text())
    if recipe in refused:
        raise NotImplementedError(refused[recipe])
    return Path(folder) / model / recipe


def _group_file(recipe: str) -> str:
    return "quick.json" if recipe in QUICK_RECIPES else "rest.json"


def _export_group(folder: Path, model: str, recipe: str, told: Path) -> None:
    # Importing torch costs more than an export, so recipes go in groups, not one by one.
    from mobileopt.exporter import Order, export
    from mobileopt.variant import Recipe

    group = [
        Recipe.parse(each)
        for each in RECIPES
        if not_measured(model, each) is None and _group_file(each) == _group_file(recipe)
    ]
    exported = export(Order(model, group, folder))
    told.write_text(json.dumps(dict(exported.refused)))


@cache
def warm(artifact: Path) -> Callable[[], object]:
    """One forward pass of an artifact, loaded and warmed up once in this process."""
    from mobileopt import execution

    forward = execution.load(artifact)[1]
    execution.warm_up(forward)
    return forward


def cold(artifact: Path) -> Callable[[], object]:
    """Loads an artifact and runs one forward pass; torch is imported before."""
    from mobileopt import execution

    def load_and_run() -> object:
        return execution.load(artifact)[1]()

    return load_and_run


def manifest(artifact: Path) -> dict[str, Any]:
    """An artifact's manifest as it was written."""
    return json.loads((artifact / "manifest.json").read_text())


@cache
def optimization(model: str, name: str) -> Callable[[], object]:
    """Applies one optimization to a model that is built and calibrated already."""
    from mobileopt import build, network, recipes
    from mobileopt.torch_warnings import silence_known_warnings

    silence_known_warnings()
    workshop = build.Workshop(network.load(model))
    module = workshop.network.module
    if name == "torchscript":
        return lambda: recipes.word("backend", name).load().script(module)
    if name == "mobile":
        return lambda: recipes.word("backend", name).load().optimize(module)
    word = next(each for each in recipes.WORDS if each.name == name)
    assert workshop.calibration  # made before the clock starts
    return lambda: build.apply_pass(workshop, word, module)


@cache
def inspected(folder: str, model: str, recipe: str) -> dict[str, Any]:
    """What `mobileopt inspect` says of an artifact; n/a, with the reason, where it cannot run.

    Artifacts are inspected in the groups they are exported in, in one process each.
    """
    artifact = skip_or_export(folder, model, recipe)
    told = artifact.with_name("inspected-" + _group_file(recipe))
    if not told.exists():
        _inspect_group(artifact.parent, recipe, told)
    found = json.loads(told.read_text())[recipe]
    if "refused" in found:
        raise NotImplementedError(found["refused"])
    return found


def _inspect_group(folder: Path, recipe: str, told: Path) -> None:
    try:
        from mobileopt.inspector import inspect
    except ImportError as error:
        raise NotImplementedError("this commit cannot inspect an artifact") from error
    group = [each for each in RECIPES if _group_file(each) == _group_file(recipe)]
    made = [each for each in group if (folder / each).is_dir()]
    found = inspect([folder / each for each in made])
    told.write_text(json.dumps(dict(zip(made, found, strict=True))))


def flops(folder: str, model: str, recipe: str) -> int:
    """FLOPs of a forward pass; n/a, with the reason, where packed weights hide their shapes."""
    found = inspected(folder, model, recipe)
    if found["flops"] is None:
        raise NotImplementedError(found["flops_unknown"])
    return found["flops"]


COUNTED_MODELS = ["annotated_conv_bn_relu", "mobilenet_v2"]
COUNTED_RECIPES = [
    "unfused-float-nchw-eager",
    "unfused-float-nchw-torchscript",
    "fx-float-nchw-torchscript",
    "unfused-float-nchw-mobile",
    "unfused-float-nhwc-mobile",
    "fused-int8_x86-nhwc-mobile",
]
"""Whose instructions are counted: a pass takes a hundred times as long under callgrind."""


@cache
def instructions(folder: str, model: str, recipe: str) -> int:
    """Instructions of a forward pass; n/a, with the reason, where they cannot be counted.

    All that are counted are counted in one process: importing torch there takes minutes.
    """
    skip_or_export(folder, model, recipe)
    told = Path(folder) / "instructions.json"
    if not told.exists():
        told.write_text(json.dumps(_count_instructions(folder)))
    return json.loads(told.read_text())[model][recipe]


def _count_instructions(folder: str) -> dict[str, dict[str, int]]:
    try:
        from mobileopt.metrics import instructions as metric
    except ImportError as error:
        raise NotImplementedError("this commit cannot count instructions") from error
    if reason := metric.missing():
        raise NotImplementedError(reason)
    made = exported(folder, COUNTED_MODELS, COUNTED_RECIPES)
    counts: dict[str, dict[str, int]] = {model: {} for model in COUNTED_MODELS}
    for (model, recipe), count in zip(made, metric.count(list(made.values())), strict=True):
        counts[model][recipe] = count
    return counts


def exported(folder: str, models: list[str], recipes: list[str]) -> dict[tuple[str, str], Path]:
    """The artifacts of all combinations, less those that are n/a."""
    made: dict[tuple[str, str], Path] = {}
    for model, recipe in product(models, recipes):
        with suppress(NotImplementedError):
            made[model, recipe] = skip_or_export(folder, model, recipe)
    return made


MEMORY_MODELS = ["annotated_conv_bn_relu", "mobilenet_v2", "resnet18"]
MEMORY_RECIPES = [
    "unfused-float-nchw-torchscript",
    "unfused-float-nhwc-mobile",
    "fused-int8_x86-nhwc-mobile",
]
MEMORY_CONDITIONS = [
    "reused-kept",
    "refilled-kept",
    "fresh-kept",
    "reused-default",
    "refilled-default",
    "fresh-default",
]

_LAUNCHES, _ROUNDS, _SAMPLES = 2, 3, 5


@cache
def remembered(folder: str, model: str, recipe: str, condition: str) -> dict[str, Any]:
    """Seconds, page faults and allocations of forward passes under a memory condition.

    In processes of their own, because a condition is one of the whole process; once a commit.
    """
    artifact = skip_or_export(folder, model, recipe)
    told = artifact.with_name(f"{recipe}-{condition}.json")
    if not told.exists():
        told.write_text(json.dumps(_measured(artifact, condition)))
    return json.loads(told.read_text())


def _measured(artifact: Path, condition: str) -> dict[str, Any]:
    try:
        from mobileopt.conditions import Memory
        from mobileopt.runners.host import Conditioned, Worker
    except ImportError as error:
        raise NotImplementedError("this commit has no memory conditions") from error
    told: dict[str, Any] = {"seconds": [], "page_faults": []}
    for _ in range(_LAUNCHES):
        with Worker(Conditioned(artifact, Memory.parse(condition))) as worker:
            worker.wait()
            for times in [worker.sample(_SAMPLES, 0) for _ in range(_ROUNDS)]:
                told["seconds"] += times.wall
                told["page_faults"].append(times.page_faults)
            found = worker.allocations()
            assert found, "torch runs every recipe of this list"
            told["allocations"] = found.count
    return told
