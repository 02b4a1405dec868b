"""From a variant to an artifact: load, optimize, export, judge, write the manifest."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, nn

from mobileopt import artifact, commits, fidelity, recipes
from mobileopt import layer_fidelity as layers
from mobileopt.artifact import SYNTHETIC, Artifact, Input
from mobileopt.errors import CapabilityError, CombinationError, InputError, OutputError
from mobileopt.layer_fidelity import LayerFidelity
from mobileopt.network import Network
from mobileopt.optimizations import convert_channels_last
from mobileopt.optimizations.result import Result
from mobileopt.own import data
from mobileopt.own.data import Data
from mobileopt.own.running import sentence
from mobileopt.quantized_engine import engine as quantized_engine
from mobileopt.variant import Recipe, Variant

_CALIBRATION_SEED = 1_000
_CALIBRATION_INPUTS = 32
_FIDELITY_SEED = int(SYNTHETIC.rpartition(":")[2])
_FIDELITY_INPUTS = 16


@dataclass(frozen=True)
class Workshop:
    """A network with what all of its variants share: calibration and reference answers.

    `own_calibration` and `own_evaluation` are the user's data instead of synthetic inputs.
    """

    network: Network
    batch: int = 1
    own_calibration: Data | None = None
    own_evaluation: Data | None = None

    @property
    def example_inputs(self) -> tuple[Tensor, ...]:
        """The inputs that latency is measured with."""
        return self.network.example_inputs(self.batch, seed=0)

    @cached_property
    def calibration(self) -> Data:
        """Batches for int8 ranges and their source; synthetic ones are none of `questions`."""
        if self.own_calibration:
            return self.own_calibration
        batch = self.network.calibration_batch
        seeds = range(_CALIBRATION_SEED, _CALIBRATION_SEED + _CALIBRATION_INPUTS // batch)
        made = [self.network.example_inputs(batch, seed) for seed in seeds]
        return Data(f"synthetic:{_CALIBRATION_SEED}", tuple(made))

    @cached_property
    def questions(self) -> Data:
        """The inputs on which fidelity is judged, and their source."""
        if self.own_evaluation:
            return self.own_evaluation
        count = max(1, _FIDELITY_INPUTS // self.batch)
        seeds = range(_FIDELITY_SEED, _FIDELITY_SEED + count)
        made = [self.network.example_inputs(self.batch, seed) for seed in seeds]
        return Data(SYNTHETIC, tuple(made))

    @cached_property
    def reference(self) -> list[fidelity.Answer]:
        """What the untouched model answers."""
        return fidelity.outputs(self.network.module, self.questions)


def workshop(
    network: Network, batch: int = 1, calibration: str | None = None, evaluation: str | None = None
) -> Workshop:
    """A workshop with the data that `mobileopt.own.data` finds by name; raises InputError."""
    example_inputs = network.example_inputs(batch, seed=0)
    calibrating = data.load(calibration, example_inputs) if calibration else None
    judging = data.load(evaluation, example_inputs) if evaluation else None
    if calibrating and judging:
        data.check_apart(calibrating, judging)
    return Workshop(network, batch, calibrating, judging and data.split(judging, example_inputs))


def optimize(workshop: Workshop, recipe: Recipe) -> Result:
    """Apply a recipe's optimizations in order; `left` of the result gathers all their reasons.

    Raises CombinationError when this model cannot go through one of them.
    """
    module, changed, left = workshop.network.module, (), {}
    for word in recipes.passes(recipe):
        result = apply_pass(workshop, word, module)
        module, changed, left = result.module, changed + result.changed, left | dict(result.left)
    return Result(module, changed, left)


def apply_pass(workshop: Workshop, word: recipes.Word, module: nn.Module) -> Result:
    """Apply one optimization to `module`, with calibration data if it observes any."""
    options = dict(word.options)
    if word.calibrated:
        options["calibration"] = workshop.calibration
    return word.load().apply(module, workshop.example_inputs, **options)


def layer_fidelity(workshop: Workshop, recipe: Recipe) -> LayerFidelity:
    """How far each layer is from the original's after a recipe's optimizations, before its backend.

    Raises CombinationError when the model cannot go through them, CapabilityError without the
    engine.
    """
    recipes.check(recipe)
    variant = Variant(workshop.network.name, recipe)
    pairs = ((each, inputs_for(recipe, each)) for each in workshop.questions)
    with quantized_engine(recipes.engine(recipe)), torch.no_grad(), _told(variant):
        optimized = optimize(workshop, recipe).module
        return layers.compare(workshop.network.module, optimized, pairs)


def export(workshop: Workshop, recipe: Recipe, out: Path) -> Artifact:
    """Write the artifact of a recipe into ``out/<model>/<recipe>``, wholly or not at all.

    An older artifact there is replaced. Raises CombinationError, CapabilityError (this torch
    cannot do it), ArtifactError (what was exported does not answer) or OutputError.
    """
    variant = Variant(workshop.network.name, recipe)
    recipes.check(recipe)
    backend = recipes.backend(recipe)
    if reason := backend.missing():
        raise CapabilityError(f"{variant} cannot be built: {reason}")
    with quantized_engine(recipes.engine(recipe)), torch.no_grad():
        inputs = inputs_for(recipe, workshop.example_inputs)
        with _told(variant):
            result = optimize(workshop, recipe)
            exported = backend.export(result.module, inputs)
        with _new_folder(out / variant.model / str(recipe)) as folder:
            file = folder / f"model{backend.SUFFIX}"
            file.write_bytes(exported.data)
            made = _describe(workshop, variant, result, file)
            made = replace(made, delegation=exported.delegation)
            artifact.write(made)
    return replace(made, folder=out / variant.model / str(recipe))


def _told(variant: Variant) -> AbstractContextManager[None]:
    # A user's model may raise anything, and so may torch of it; the other recipes go on.
    return sentence(f"{variant} cannot be built", CombinationError)


def inputs_for(recipe: Recipe, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The inputs in the layout a recipe's artifact is called with."""
    return convert_channels_last.inputs(inputs) if recipe.layout == "nhwc" else inputs


def _describe(workshop: Workshop, variant: Variant, result: Result, file: Path) -> Artifact:
    recipe = variant.recipe
    forward = recipes.backend(recipe).load(file)
    asked = [inputs_for(recipe, each) for each in workshop.questions]
    with _told(variant):
        answers = fidelity.outputs(forward, asked)
    calibrated = any(word.calibrated for word in recipes.passes(recipe))
    return Artifact(
        variant=variant,
        file=file.name,
        sha256=artifact.digest(file),
        size=file.stat().st_size,
        inputs=tuple(_input(each) for each in inputs_for(recipe, workshop.example_inputs)),
        engine=recipes.engine(recipe),
        weights=workshop.network.weights,
        calibration=workshop.calibration.source if calibrated else None,
        fidelity=fidelity.compare(workshop.reference, answers, workshop.questions.source),
        left=result.left,
        versions=versions(),
        folder=file.parent,
    )


def _input(tensor: Tensor) -> Input:
    nhwc = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    layout = "channels_last" if nhwc and not tensor.is_contiguous() else "contiguous_format"
    return Input(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), layout)


def versions() -> Mapping[str, str]:
    """What the artifact was built with; mobileopt by commit where it runs from a checkout."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": _installed("torchvision"),
        "executorch": _installed("executorch"),
        "mobileopt": _commit() or _installed("mobileopt"),
    }


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str | None:
    try:
        return commits.resolve(Path(__file__).parent, "HEAD")
    except InputError:
        return None


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder that becomes `target` if the block ends well and vanishes if it does not."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    except OSError as error:
        raise OutputError(f"cannot write to {target.parent}: {error.strerror}") from error
    try:
        yield folder
        _replace(folder, target)
    except OSError as error:
        raise OutputError(f"cannot write to {target.parent}: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(folder: Path, target: Path) -> None:
    # A folder with files in it cannot be replaced in one step; the old one steps aside.
    old = folder.with_name(folder.name + ".old")
    if target.exists():
        target.rename(old)
    folder.replace(target)
    shutil.rmtree(old, ignore_errors=True)
