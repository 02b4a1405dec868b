"""The benchmarks of a user's own models, for the asv suite that `mobileopt init` writes.

A suite is a list of models and one of recipes; each method makes one benchmark of every pair::

    SUITE = Suite([Model("nets-make", make="nets:make", inputs=["1,3,224,224"])], RECIPES)
    time_forward = SUITE.latency()

mobileopt's own suite does not use this: it also measures commits that do not have it. Importing
it does not import torch, which asv's discovery would pay for in every commit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobileopt.conditions import PROJECT
from mobileopt.errors import InputError
from mobileopt.exporter import Order, export
from mobileopt.variant import BASELINE, Recipe, check_model_name

Benchmark = Callable[[str, str, str], Any]
_REFUSED = "refused.json"


@dataclass(frozen=True)
class Model:
    """A model under the name its history is kept by, and the options of `mobileopt export`.

    Paths are relative to the project's folder in each commit.
    """

    name: str
    make: str
    inputs: Sequence[str] = ()
    weights: str | None = None
    calibration: str | None = None
    evaluation: str | None = None

    def __post_init__(self) -> None:
        check_model_name(self.name)


@dataclass(frozen=True)
class Suite:
    """Models and recipes, whose lists may only grow at their ends: asv finds results by position.

    Raises InputError for a name that stands twice and for recipes without the baseline.
    """

    models: Sequence[Model]
    recipes: Sequence[str]

    def __post_init__(self) -> None:
        for what, names in (("model", [m.name for m in self.models]), ("recipe", self.recipes)):
            twice = sorted({name for name in names if list(names).count(name) > 1})
            if twice:
                raise InputError(f"the {what} {twice[0]!r} stands in the suite twice")
        if BASELINE not in [Recipe.parse(recipe) for recipe in self.recipes]:
            raise InputError(f"the suite's recipes lack {BASELINE}, which ratios are taken against")

    def latency(self) -> Benchmark:
        """Seconds of one forward pass of a warm model on one thread."""

        warm: dict[tuple[str, str], Callable[[], object]] = {}

        def time_forward(_folder: str, model: str, recipe: str) -> object:
            return warm[model, recipe]()

        def setup(folder: str, model: str, recipe: str) -> None:
            # asv calls this before every sample; one process loads an artifact once.
            if (model, recipe) not in warm:
                warm[model, recipe] = _warm(self.artifact(folder, model, recipe))

        # One pass a sample, kept raw; processes are what varies, so several of them.
        counts = {"number": 1, "repeat": 10, "rounds": 2, "warmup_time": 0}
        return self._benchmark(time_forward, setup=setup, **counts)

    def size(self) -> Benchmark:
        """Bytes of the exported file."""

        def track_artifact(folder: str, model: str, recipe: str) -> int:
            return self._manifest(folder, model, recipe)["size"]

        return self._benchmark(track_artifact, unit="bytes")

    def noise(self) -> Benchmark:
        """Rms error over the reference's rms; the SQNR in decibels is -20 log10 of it."""

        def track_noise(folder: str, model: str, recipe: str) -> float:
            return self._manifest(folder, model, recipe)["fidelity"]["noise"]

        return self._benchmark(track_noise, unit="ratio")

    def top1_disagreement(self) -> Benchmark:
        """Fraction of inputs whose most likely class is another one."""

        def track_top1_disagreement(folder: str, model: str, recipe: str) -> float:
            return 1 - self._manifest(folder, model, recipe)["fidelity"]["top1_agreement"]

        return self._benchmark(track_top1_disagreement, unit="fraction")

    def memory(self) -> Benchmark:
        """Peak bytes of a process that imports torch, loads the artifact and runs it once."""

        def peakmem_forward(folder: str, model: str, recipe: str) -> object:
            from mobileopt import execution

            return execution.load(self.artifact(folder, model, recipe))[1]()

        return self._benchmark(peakmem_forward)

    def artifact(self, folder: str, model: str, recipe: str) -> Path:
        """The folder of an artifact, exported with the others of its model if it is not there.

        Raises NotImplementedError, asv's n/a, where this commit lacks the model or the model
        cannot go through the recipe, and InputError when the model is there and fails.
        """
        told = Path(folder) / model / _REFUSED
        if not told.exists():
            told.parent.mkdir(exist_ok=True)
            told.write_text(json.dumps(self._export(Path(folder), model)), encoding="utf-8")
        refused = json.loads(told.read_text(encoding="utf-8"))
        if recipe in refused:
            raise NotImplementedError(refused[recipe])
        return told.parent / recipe

    def _export(self, out: Path, name: str) -> dict[str, str]:
        model = next(each for each in self.models if each.name == name)
        recipes = [Recipe.parse(each) for each in self.recipes]
        project = Path(os.environ.get(PROJECT, "."))
        if not project.is_dir():
            return dict.fromkeys(self.recipes, "this commit lacks the project's folder")
        order = Order(
            model.make, recipes, out, model.weights, 1, model.inputs, model.calibration,
            model.evaluation, model.name, folder=project,
        )  # fmt: skip
        try:
            return dict(export(order).refused)
        except InputError as error:
            if _is_there(model.make, project):
                raise
            return dict.fromkeys(self.recipes, str(error))

    def _manifest(self, folder: str, model: str, recipe: str) -> dict[str, Any]:
        path = self.artifact(folder, model, recipe) / "manifest.json"
        return json.loads(path.read_text(encoding="utf-8"))

    def _benchmark(self, function: Benchmark, **attributes: object) -> Benchmark:
        def setup(folder: str, model: str, recipe: str) -> None:
            self.artifact(folder, model, recipe)

        vars(function).update(
            params=[[model.name for model in self.models], list(self.recipes)],
            param_names=["model", "recipe"],
            setup=setup,
            setup_cache=folder_for_artifacts,
            timeout=1200,  # the first benchmark of a model exports all of its recipes
            version="1",
        )
        vars(function).update(attributes)
        return function


def folder_for_artifacts() -> str:
    """The folder that asv makes once a commit and removes; all benchmarks share it."""
    return str(Path.cwd())


def _warm(artifact: Path) -> Callable[[], object]:
    from mobileopt import execution

    forward = execution.load(artifact)[1]
    execution.warm_up(forward)
    return forward


def _is_there(make: str, project: Path) -> bool:
    """Whether a commit has a model at all: its name in its module, or its file."""
    if make.endswith(".pt2"):
        return (project / make).is_file()
    from mobileopt.own import factory

    try:
        factory.find(make)
    except InputError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError):  # of this module, not of one that it needs
            module = make.partition(":")[0]
            return not f"{module}.".startswith(f"{cause.name}.")
        return not isinstance(cause, AttributeError)
    return True
