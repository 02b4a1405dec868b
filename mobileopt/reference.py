"""What a user may name as a model, and the inputs it is called with: text, before any import.

A model is one of ours (`resnet18`), a factory in an importable module (`mypackage.nets:make`)
or a program of `torch.export` (`nets/detector.pt2`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from mobileopt.errors import InputError, UnknownNameError
from mobileopt.variant import check_model_name

Kind = Literal["known", "factory", "program"]

_IDENTIFIERS = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
_FACTORY = re.compile(f"{_IDENTIFIERS}:{_IDENTIFIERS}")
_WEIGHTS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
_REALS = ("float32", "float64", "float16", "bfloat16")
_WHOLES = ("int64", "int32", "int16", "int8", "uint8", "bool")
_MAX_ELEMENTS = 10**9


@dataclass(frozen=True)
class InputSpec:
    """One input of a user's own model: shape, torch's name of a dtype, and for whole numbers
    the bound they stay below (2 unless said, so that any table of more than one row has them).
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    below: int = 2

    @classmethod
    def parse(cls, text: str) -> InputSpec:
        """Read ``1,3,224,224``, ``1,16:int64`` or ``1,16:int64:30522``; raises InputError."""
        sizes, *rest = text.split(":")
        if not re.fullmatch(r"[0-9]+(,[0-9]+)*", sizes) or len(rest) > 2:
            raise InputError(_wrong(text, "is not a shape with an optional dtype and bound"))
        shape = tuple(int(size[:20]) for size in sizes.split(","))
        _check_shape(text, shape)
        dtype = rest[0] if rest else "float32"
        if dtype not in (*_REALS, *_WHOLES):
            raise InputError(
                _wrong(text, f"has no known dtype; known: {', '.join((*_REALS, *_WHOLES))}")
            )
        return cls(shape, dtype, _below(text, dtype, rest[1:]))

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers, or truth values."""
        return self.dtype in _WHOLES

    def __str__(self) -> str:
        bound = f":{self.below}" if self.below != 2 else ""
        return f"{','.join(map(str, self.shape))}:{self.dtype}{bound}"


def _check_shape(text: str, shape: tuple[int, ...]) -> None:
    elements = 1
    for size in shape:
        elements *= size
    if not 0 < elements <= _MAX_ELEMENTS:
        raise InputError(
            _wrong(text, f"has {elements} elements, from 1 to {_MAX_ELEMENTS:,} can be")
        )


def _below(text: str, dtype: str, rest: list[str]) -> int:
    if not rest:
        return 2
    if dtype not in _WHOLES or not re.fullmatch(r"[0-9]{1,18}", rest[0]) or int(rest[0]) < 1:
        raise InputError(
            _wrong(text, "has a bound that is no positive whole number, or no integers")
        )
    return int(rest[0])


def _wrong(text: str, reason: str) -> str:
    return (
        f"input {text[:80]!r} {reason}; write it as 1,3,224,224 or 1,16:int64 or 1,16:int64:30522"
    )


def kind(model: str, known: Iterable[str]) -> Kind:
    """What a model is named by: one of the `known`, a factory or a program.

    Raises InputError for a file of weights, UnknownNameError for anything else.
    """
    names = list(known)
    if model in names:
        return "known"
    if is_factory(model):
        return "factory"
    if model.endswith(".pt2"):
        return "program"
    if model.endswith(_WEIGHTS):
        raise InputError(
            f"{model!r} can hold weights only, so add the architecture they belong to, as in "
            f"'mypackage.nets:make --weights {model} --input 1,3,224,224'"
        )
    if ":" in model:
        raise InputError(
            f"model {model[:80]!r} is not a factory's name; write it as mypackage.nets:make"
        )
    raise UnknownNameError("model", model[:80], names)


def is_factory(text: str) -> bool:
    """Whether `text` names something in a module: ``mypackage.nets:make``."""
    return _FACTORY.fullmatch(text) is not None


def name(model: str, chosen: str | None = None) -> str:
    """The name under which a model's variants are kept, or the one that was `chosen` for it.

    A factory ``pkg.nets:make`` is named ``pkg.nets-make`` and a program after its file. Python's
    names hold no dash, so two factories never share a name. Raises InputError.
    """
    found = chosen or (PurePath(model).stem if model.endswith(".pt2") else model.replace(":", "-"))
    try:
        check_model_name(found)
    except InputError as error:
        hint = "" if chosen else "; give it one with --name"
        raise InputError(f"{error}{hint}") from None
    return found
