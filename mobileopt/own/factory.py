"""Objects from a user's modules, by ``package.module:name``."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mobileopt.errors import InputError
from mobileopt.own.running import sentence

SEED = 0


def find(reference: str) -> Any:
    """The object that ``package.module:name`` names; the current folder counts as importable.

    Raises InputError when the module cannot be imported or has no such name.
    """
    module, _, path = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    with sentence(f"cannot import {module!r}"):
        imported = import_module(module)
    with sentence(f"{module!r} has no {path!r}"):
        return attrgetter(path)(imported)


def call(reference: str, found: Any) -> Any:
    """Call what `find` found, without arguments; raises InputError when that cannot be."""
    if not callable(found):
        raise InputError(f"{reference} is of type {type(found).__name__}, which cannot be called")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise InputError(
            f"{reference} needs arguments ({error}); name a function that takes none"
        ) from error
    except ValueError:  # a builtin without a signature
        pass
    with sentence(f"{reference} failed"):
        return found()


def make(reference: str) -> nn.Module:
    """The module that a factory answers, a class builds or a name holds, in eval mode.

    Random numbers are seeded before the import, since a module may build a network in it, and
    again before the call. Raises InputError with one sentence for whatever goes wrong.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        found = find(reference)
        torch.manual_seed(SEED)
        module = found if isinstance(found, nn.Module) else call(reference, found)
    if not isinstance(module, nn.Module):
        raise InputError(f"{reference} gives {_a(module)}, and a model is a torch.nn.Module")
    with sentence(f"{reference} cannot be put into evaluation"):
        return module.eval()


def _a(value: object) -> str:
    return "nothing" if value is None else f"an object of type {type(value).__name__}"
