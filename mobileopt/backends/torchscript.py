"""TorchScript by `torch.jit.script`, run by the full interpreter."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from mobileopt.backends import Exported
from mobileopt.errors import CombinationError

SUFFIX = ".pt"


def missing() -> str | None:
    """Nothing: every torch that this package accepts scripts."""
    return None


def script(module: nn.Module) -> torch.jit.ScriptModule:
    """Compile a module to TorchScript; raises CombinationError where torch cannot."""
    try:
        return torch.jit.script(module)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        reason = next(line for line in str(error).splitlines() if line.strip())
        raise CombinationError(f"TorchScript cannot compile the model: {reason.strip()}") from error


def export(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> Exported:
    """Script the module and save it."""
    return Exported(saved(script(module)))


def saved(module: torch.jit.ScriptModule) -> bytes:
    """The file of a scripted module, for the full interpreter."""
    file = io.BytesIO()
    torch.jit.save(module, file)
    return file.getvalue()


def load(path: Path) -> Callable[..., Tensor]:
    """Load a scripted module."""
    return torch.jit.load(path)
