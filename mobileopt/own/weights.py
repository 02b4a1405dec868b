"""A state dict from a file into a module."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mobileopt.errors import InputError
from mobileopt.own.running import printable

_NESTED = ("state_dict", "model_state_dict", "model")


def load_into(module: nn.Module, path: Path) -> str:
    """Put a file's state dict into `module` and answer the words that say where it is from.

    The file is read with `weights_only`, so nothing in it runs. Every tensor must fit. Raises
    InputError.
    """
    state = _state(path)
    expected = module.state_dict()
    missing, unexpected = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or unexpected:
        raise InputError(
            f"the weights in {str(path)!r} are another model's: {_some('lacks', missing)}"
            f"{' and ' if missing and unexpected else ''}{_some('adds', unexpected)}"
        )
    for name, tensor in state.items():
        shape, wanted = tuple(tensor.shape), tuple(expected[name].shape)
        if shape != wanted:
            raise InputError(
                f"the weights in {str(path)!r} are another model's: {printable(name)!r} is of "
                f"shape {shape}, the model's of {wanted}"
            )
    module.load_state_dict(dict(state))
    return label(path)


def is_path(weights: str) -> bool:
    """Whether `weights` names a file, not weights that torchvision knows."""
    return Path(weights).name != weights or bool(Path(weights).suffix)


def label(path: Path) -> str:
    """What a manifest says of a file of weights: its name and the digits that tell it apart."""
    return f"file:{printable(path.name)}:{digest(path)}"


def digest(path: Path) -> str:
    """The first twelve digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def read(path: Path) -> Any:
    """What `torch.save` wrote, if it is tensors and plain containers of them: nothing in it runs.

    Raises InputError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails anywhere in torch
        raise InputError(
            f"{printable(str(path))!r} is no file of plain tensors that torch.save wrote, and "
            "nothing else is read; save model.state_dict(), or the tensors alone"
        ) from error


def _state(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise InputError(f"there is no file of weights {str(path)!r}")
    found = read(path)
    if isinstance(found, Mapping):
        nested = [found[key] for key in _NESTED if isinstance(found.get(key), Mapping)]
        found = nested[0] if nested else found
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise InputError(f"{str(path)!r} holds {type(found).__name__}, not a state dict of tensors")
    return found


def _some(verb: str, names: set[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(repr(name)[:60] for name in sorted(map(str, names))[:2])
    return f"it {verb} {len(names)} tensors, {shown}{' ...' if len(names) > 2 else ''}"
