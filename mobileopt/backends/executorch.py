"""ExecuTorch: torch.export, lowered to XNNPACK where its partitioner can, run by its own runtime.

`load` runs a program in this process by the same runtime and kernels as a phone's.
"""

from __future__ import annotations

import copy
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mobileopt import capabilities
from mobileopt.artifact import Delegation
from mobileopt.backends import Exported
from mobileopt.conditions import THREADS
from mobileopt.errors import ArtifactError, CapabilityError, CombinationError, InputError

SUFFIX = ".pte"

_CHANNELS_LAST = "channels_last_inputs"
"""A constant method of the program: 1 for every input that is channels-last, else 0."""


def missing() -> str | None:
    """ExecuTorch's runtime, and for the exporter torchao."""
    return capabilities.executorch() or capabilities.torchao()


def export(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> Exported:
    """Export and lower for inputs of these shapes and this layout; the report says what was left.

    Raises CapabilityError without ExecuTorch, CombinationError when torch.export or ExecuTorch
    cannot take the model.
    """
    if reason := missing():
        raise CapabilityError(reason)
    lowered = _lower(_exported(_contiguous(module), example_inputs), example_inputs)
    report = delegation(lowered.exported_program().graph_module)
    try:
        return Exported(lowered.to_executorch().buffer, report)
    except Exception as error:  # as below
        raise CombinationError(f"ExecuTorch cannot emit the model: {_root(error)}") from error


def _contiguous(module: nn.Module) -> nn.Module:
    # XNNPACK packs weights itself; its ChannelsLastTaggedReshapePass refuses channels-last ones.
    module = copy.deepcopy(module)
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.contiguous()
    return module


def _exported(module: nn.Module, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    try:
        return torch.export.export(module, inputs)
    except Exception as error:  # exporting runs the model's own Python, which can raise anything
        raise CombinationError(f"torch.export cannot export the model: {_root(error)}") from error


def _lower(program: torch.export.ExportedProgram, inputs: tuple[Tensor, ...]) -> Any:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    _find_flatc()
    try:
        return to_edge_transform_and_lower(
            program,
            partitioner=[XnnpackPartitioner()],
            constant_methods={_CHANNELS_LAST: [int(_is_channels_last(each)) for each in inputs]},
        )
    except Exception as error:  # what its passes meet in a graph, they raise as they like
        raise CombinationError(f"ExecuTorch cannot lower the model: {_root(error)}") from error


def _find_flatc() -> None:
    # ExecuTorch looks for it on PATH, where it is not unless the environment is activated.
    own = resources.files("executorch.data.bin") / "flatc"
    if own.is_file():
        os.environ.setdefault("FLATC_EXECUTABLE", str(own))


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def delegation(graph: torch.fx.GraphModule) -> Delegation:
    """What of a lowered graph runs in XNNPACK and what the portable kernels run, by operator."""
    from executorch.exir.lowered_backend_module import get_lowered_submodules

    lowered = [module for _, module, _ in get_lowered_submodules(graph)]
    inside = [_operators(each.original_module.graph_module) for each in lowered]
    left = Counter(name for name in _operators(graph) if name != "executorch_call_delegate")
    return Delegation(len(lowered), sum(map(len, inside)), dict(sorted(left.items())))


def _operators(graph: torch.fx.GraphModule) -> list[str]:
    """An exported graph's operators by name; picking one of several results is none."""
    calls = [node.target for node in graph.graph.nodes if node.op == "call_function"]
    names = [str(getattr(each, "__name__", each)) for each in calls]
    return [name for name in names if name != "getitem"]


def load(path: Path) -> Callable[..., Tensor]:
    """Load a program into this process's runtime, on one thread.

    The forward raises InputError for an input in another layout than the program was exported
    for: the runtime itself would take its values in the wrong order. Raises CapabilityError
    without ExecuTorch and ArtifactError for a file that its runtime cannot load.
    """
    if reason := capabilities.executorch():
        raise CapabilityError(reason)
    runtime = capabilities.executorch_runtime()
    log = io.StringIO()
    try:
        with redirect_stderr(log):  # it logs also that all is well
            # Its pool has a thread a core by default; torch's own setting does not reach it.
            runtime._unsafe_reset_threadpool(THREADS)
            module = runtime._load_for_executorch(str(path))
            channels_last = module.run_method(_CHANNELS_LAST, ())
    except RuntimeError as error:
        why = "; ".join([*log.getvalue().splitlines()[-1:], str(error)])
        raise ArtifactError(f"ExecuTorch cannot load {path.name}: {why}") from error

    def forward(*inputs: Tensor) -> Tensor:
        _check_layouts(inputs, channels_last)
        return module.forward(inputs)[0]

    return forward


def _is_channels_last(tensor: Tensor) -> bool:
    return not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def _check_layouts(inputs: Sequence[Tensor], channels_last: Sequence[int]) -> None:
    for position, (tensor, wanted) in enumerate(zip(inputs, channels_last, strict=True)):
        layout = torch.channels_last if wanted else torch.contiguous_format
        if not tensor.is_contiguous(memory_format=layout):
            raise InputError(
                f"input {position} of the program must be {layout}, it has strides "
                f"{tensor.stride()} for its shape {tuple(tensor.shape)}"
            )
