"""The words a recipe is made of: what each does, and which cannot stand together.

A new optimization or backend is a file and a row here. Nothing is imported until it is used,
so that names can be listed and checked without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import product
from typing import Any

from mobileopt import capabilities
from mobileopt.errors import CapabilityError, CombinationError, UnknownNameError
from mobileopt.variant import BASELINE, SLOTS, Recipe


@dataclass(frozen=True)
class Word:
    """One choice of a slot: its name, what it means, the file that does it and its options."""

    slot: str
    name: str
    meaning: str
    file: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def calibrated(self) -> bool:
        """Whether it observes the model over calibration data."""
        return self.file in ("quantize_static", "quantize_pt2e")

    def load(self) -> Any:
        """The optimization's or backend's module; raises CapabilityError without torch.ao."""
        folder = "backends" if self.slot == "backend" else "optimizations"
        try:
            return import_module(f"mobileopt.{folder}.{self.file}")
        except ImportError as error:
            if reason := capabilities.torch_ao():
                raise CapabilityError(f"{self.name} needs torch.ao: {reason}") from error
            raise


WORDS = (
    Word("fusion", "unfused", "as the model is written"),
    Word("fusion", "fused", "eager fuse_modules, groups found automatically", "fuse_modules"),
    Word("fusion", "fx", "Conv-BN folding on the traced graph", "fold_conv_bn"),
    Word("precision", "float", "float32"),
    Word(
        "precision",
        "int8_qnnpack",
        "static int8, phones' engine",
        "quantize_static",
        {"engine": "qnnpack"},
    ),
    Word(
        "precision", "int8_x86", "static int8, a PC's engine", "quantize_static", {"engine": "x86"}
    ),
    Word(
        "precision",
        "int8_onednn",
        "static int8, oneDNN's engine",
        "quantize_static",
        {"engine": "onednn"},
    ),
    Word(
        "precision",
        "int8_xnnpack",
        "static int8, XNNPACK's kernels under ExecuTorch",
        "quantize_pt2e",
    ),
    Word(
        "precision",
        "int8_dynamic_qnnpack",
        "int8 weights of linear and recurrent layers, phones' engine",
        "quantize_dynamic",
        {"engine": "qnnpack"},
    ),
    Word(
        "precision",
        "int8_dynamic_x86",
        "int8 weights of linear and recurrent layers, a PC's engine",
        "quantize_dynamic",
        {"engine": "x86"},
    ),
    Word("layout", "nchw", "NCHW input"),
    Word("layout", "nhwc", "channels-last input and weights", "convert_channels_last"),
    Word(
        "layout",
        "nhwc_inside",
        "NCHW input, converted to channels-last inside the model",
        "convert_channels_last",
        {"inside": True},
    ),
    Word("backend", "eager", "Python; the baseline, not for phones", "eager"),
    Word("backend", "torchscript", "torch.jit.script, saved as .pt", "torchscript"),
    Word("backend", "mobile", "optimize_for_mobile, saved as .pt", "mobile"),
    Word("backend", "lite", "optimize_for_mobile for the lite interpreter, .ptl", "lite"),
    Word("backend", "executorch", "torch.export lowered to XNNPACK, .pte", "executorch"),
)  # fmt: skip  one row a word, to be read as a table


def words(slot: str) -> list[str]:
    """The names a slot can have, in the order of the table."""
    return [word.name for word in WORDS if word.slot == slot]


def word(slot: str, name: str) -> Word:
    """The row of a name; raises UnknownNameError when the slot has no such name."""
    for each in WORDS:
        if (each.slot, each.name) == (slot, name):
            return each
    raise UnknownNameError(slot, name, words(slot))


def parse(text: str) -> Recipe:
    """Read a recipe and check that its words exist and can stand together.

    Raises InputError, UnknownNameError or CombinationError.
    """
    recipe = Recipe.parse(text)
    check(recipe)
    return recipe


def check(recipe: Recipe) -> None:
    """Raise UnknownNameError or CombinationError unless torch can do the recipe for some model."""
    for slot, name in zip(SLOTS, recipe.words, strict=True):
        word(slot, name)
    if reason := refusal(recipe):
        raise CombinationError(f"{recipe} cannot be: {reason}")


def refusal(recipe: Recipe) -> str | None:
    """Why no model can go through the recipe, or None."""
    for applies, reason in _REFUSALS:
        if applies(recipe):
            return reason
    return None


def _is_torch_int8_on_executorch(recipe: Recipe) -> bool:
    return recipe.backend == "executorch" and engine(recipe) is not None


def _is_xnnpack_int8_elsewhere(recipe: Recipe) -> bool:
    return recipe.precision == "int8_xnnpack" and recipe.backend != "executorch"


_REFUSALS: tuple[tuple[Callable[[Recipe], bool], str], ...] = (
    (
        _is_torch_int8_on_executorch,
        "int8 by one of torch's engines packs its weights for kernels that ExecuTorch does not "
        "have; its int8 is int8_xnnpack",
    ),
    (
        _is_xnnpack_int8_elsewhere,
        "int8_xnnpack becomes int8 kernels only in ExecuTorch; elsewhere torch would run it in "
        "float, with the errors of int8 and none of its speed",
    ),
)


def all_recipes() -> list[Recipe]:
    """Every recipe that some model can go through, baseline first."""
    everything = (Recipe(*names) for names in product(*map(words, SLOTS)))
    return [recipe for recipe in everything if refusal(recipe) is None]


def passes(recipe: Recipe) -> list[Word]:
    """The optimizations of a recipe in the order they are applied."""
    rows = (word(slot, name) for slot, name in zip(SLOTS[:3], recipe.words, strict=False))
    return [row for row in rows if row.file is not None]


def backend(recipe: Recipe) -> Any:
    """The recipe's backend module."""
    return word("backend", recipe.backend).load()


def engine(recipe: Recipe) -> str | None:
    """The quantized engine an artifact of this recipe answers rightly under, or None."""
    return word("precision", recipe.precision).options.get("engine")


def suggested(batch: int = 1) -> list[Recipe]:
    """What `compare` measures unless told otherwise.

    For one image, the three questions of the mobile recipe, each in eager and as phones run it;
    for a batch, the FX tutorial's question: fused or not, scripted or not.
    """
    if batch > 1:
        return [Recipe(f, backend=b) for b in ("eager", "torchscript") for f in ("unfused", "fx")]
    return [BASELINE, *(Recipe.parse(text) for text in _SUGGESTED)]


_SUGGESTED = (
    "fused-float-nchw-eager",
    "fx-float-nchw-eager",
    "unfused-float-nhwc-eager",
    "unfused-float-nchw-torchscript",
    "fx-float-nchw-torchscript",
    "unfused-float-nchw-mobile",
    "fused-float-nchw-mobile",
    "unfused-float-nhwc-mobile",
    "fused-float-nhwc-mobile",
    "unfused-float-nhwc_inside-mobile",
    "fused-float-nhwc-lite",
    "fused-int8_qnnpack-nhwc-mobile",
    "fused-int8_x86-nhwc-torchscript",
    "fused-int8_x86-nhwc-mobile",
    "fused-int8_onednn-nhwc-mobile",
    "unfused-float-nchw-executorch",
    "fused-float-nhwc-executorch",
    "fused-int8_xnnpack-nchw-executorch",
    "fused-int8_dynamic_qnnpack-nchw-mobile",
    "fused-int8_dynamic_x86-nchw-mobile",
)
