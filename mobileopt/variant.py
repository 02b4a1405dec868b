"""What is measured, by name: a model and the recipe it goes through.

A variant prints as ``mobilenet_v2/fx-int8_qnnpack-nhwc-mobile`` and parses back. The four
words of a recipe always stand in the same order, and none is ever left out, so that a name
stored today means the same when a fifth choice is added to one of them tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mobileopt.errors import InputError

SLOTS = ("fusion", "precision", "layout", "backend")
_WORD = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
_MODEL = re.compile(r"[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*")


@dataclass(frozen=True, order=True)
class Recipe:
    """Ordered optimizations and a backend: fusion, precision, layout, backend."""

    fusion: str = "unfused"
    precision: str = "float"
    layout: str = "nchw"
    backend: str = "eager"

    def __post_init__(self) -> None:
        for slot, word in zip(SLOTS, self.words, strict=True):
            _check_word(slot, word)

    @property
    def words(self) -> tuple[str, str, str, str]:
        """The four words in the order they are printed and applied."""
        return (self.fusion, self.precision, self.layout, self.backend)

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Read ``fx-int8_qnnpack-nhwc-mobile``; raises InputError on anything else."""
        words = text.split("-")
        if len(words) != len(SLOTS):
            raise InputError(
                f"recipe {text!r} has {len(words)} of the {len(SLOTS)} words of "
                f"{'-'.join(SLOTS)}, as in 'fx-float-nhwc-mobile'"
            )
        return cls(*words)

    def differs_from(self, other: Recipe) -> tuple[str, ...]:
        """The slots in which two recipes differ, in printing order."""
        pairs = zip(SLOTS, self.words, other.words, strict=True)
        return tuple(slot for slot, mine, theirs in pairs if mine != theirs)

    def __str__(self) -> str:
        return "-".join(self.words)


@dataclass(frozen=True, order=True)
class Variant:
    """A model and a recipe; the identity of a result everywhere."""

    model: str
    recipe: Recipe

    def __post_init__(self) -> None:
        check_model_name(self.model)

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read ``model/recipe``; raises InputError on anything else."""
        model, slash, recipe = text.partition("/")
        if not slash:
            raise InputError(f"variant {text!r} lacks the '/' between its model and its recipe")
        return cls(model, Recipe.parse(recipe))

    @property
    def baseline(self) -> Variant:
        """The same model, untouched."""
        return replace(self, recipe=BASELINE)

    def __str__(self) -> str:
        return f"{self.model}/{self.recipe}"


def check_model_name(name: str) -> None:
    """Raise InputError unless `name` can name a model: `resnet18`, `mynets-make`, `nets.v2-Net`.

    A user's own model is named after what it was made from, so names may hold what Python's
    names may, with single dots and dashes between. None can leave its folder or break a path.
    """
    if not _MODEL.fullmatch(name) or len(name) > 100:
        raise InputError(
            f"model {name[:120]!r} is not a name of letters, digits and underscores with single "
            "dots or dashes between, at most 100 long"
        )


def _check_word(what: str, word: str) -> None:
    # A name becomes a folder, an asv parameter and a cell of a page: nothing else may pass.
    if not _WORD.fullmatch(word) or len(word) > 64:
        raise InputError(
            f"{what} {word[:80]!r} is not a name of lower-case letters, digits and single "
            "underscores, at most 64 long"
        )


BASELINE = Recipe()
"""Unfused float NCHW eager: what every ratio and every error is taken against."""


def variant_of(settings: Mapping[str, str]) -> tuple[Variant | None, dict[str, str]]:
    """The variant that a benchmark's parameters name, and the other parameters.

    They name one as `variant`, as `model` and `recipe`, or as `model` and the recipe's four words.
    """
    for names in (("variant",), ("model", "recipe"), ("model", *SLOTS)):
        if not set(names) <= settings.keys():
            continue
        model, *words = (settings[name] for name in names)
        try:
            variant = (
                Variant(model, Recipe.parse("-".join(words))) if words else Variant.parse(model)
            )
        except InputError:
            continue  # the parameters of somebody else's benchmark
        return variant, {name: settings[name] for name in settings.keys() - set(names)}
    return None, dict(settings)
