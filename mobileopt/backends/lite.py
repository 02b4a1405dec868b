"""The mobile rewrite saved for the lite interpreter, phones' default since PyTorch 1.9."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from mobileopt import capabilities
from mobileopt.backends import Exported, mobile

SUFFIX = ".ptl"


def missing() -> str | None:
    """XNNPACK for the rewrite, and the interpreter."""
    return mobile.missing() or capabilities.lite_interpreter()


def export(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> Exported:
    """Save bytecode for the lite interpreter."""
    return Exported(mobile.optimize(module)._save_to_buffer_for_lite_interpreter())


def load(path: Path) -> Callable[..., Tensor]:
    """Load into the lite interpreter."""
    from torch.jit.mobile import _load_for_lite_interpreter

    return _load_for_lite_interpreter(str(path))
