"""TorchScript by `torch.jit.script`, run by the full interpreter."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload

from mobileopt.backends import Exported
from mobileopt.errors import CombinationError

SUFFIX = ".pt"


def missing() -> str | None:
    """Nothing: every torch that this package accepts scripts."""
    return None


def script(module: nn.Module) -> torch.jit.ScriptModule:
    """Compile a module to TorchScript; raises CombinationError where torch cannot."""
    try:
        return torch.jit.script(_without_overloads(module))
    except (RuntimeError, NotImplementedError, TypeError) as error:
        reason = next(line for line in str(error).splitlines() if line.strip())
        raise CombinationError(f"TorchScript cannot compile the model: {reason.strip()}") from error


def _without_overloads(module: nn.Module) -> nn.Module:
    """A copy of a module made of an exported program, its operators by TorchScript's names."""
    if not any(_overloads(child) for child in module.modules()):
        return module
    copied = copy.deepcopy(module)
    for child in copied.modules():
        for node in _overloads(child):
            node.target = node.target.overloadpacket
        if isinstance(child, fx.GraphModule):
            child.recompile()
    return copied


def _overloads(module: nn.Module) -> list[Any]:
    nodes = module.graph.nodes if isinstance(module, fx.GraphModule) else ()
    return [node for node in nodes if isinstance(node.target, OpOverload)]


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
