"""The model as Python runs it: the baseline, which no phone runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

SUFFIX = ".eager.pt"


def missing() -> str | None:
    """Nothing: eager runs wherever torch does."""
    return None


def export(module: nn.Module, example_inputs: tuple[Tensor, ...], path: Path) -> None:
    """Pickle the whole module."""
    torch.save(module, path)


def load(path: Path) -> Callable[..., Tensor]:
    """Unpickle the module; only for a file whose manifest vouches for it (`artifact.read`)."""
    with warnings.catch_warnings():
        # A pickled quantized tensor restores through a deprecated storage class of torch's own.
        warnings.filterwarnings("ignore", "TypedStorage is deprecated", UserWarning)
        return torch.load(path, weights_only=False)
