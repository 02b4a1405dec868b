"""The mobile rewrite saved for the lite interpreter, phones' default since PyTorch 1.9."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn
from torch.jit.mobile import _load_for_lite_interpreter

from mobileopt.backends import mobile

SUFFIX = ".ptl"
missing = mobile.missing


def export(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> bytes:
    """Save bytecode for the lite interpreter."""
    return mobile.optimize(module)._save_to_buffer_for_lite_interpreter()


def load(path: Path) -> Callable[..., Tensor]:
    """Load into the lite interpreter."""
    return _load_for_lite_interpreter(str(path))
