"""Dynamic int8 quantization: int8 weights, activations quantized as they come, call by call.

It needs no calibration and pays where reading weights is the work: linear and recurrent layers.
Convolutions have no dynamic kernels and stay float.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.ao import quantization as ao
from torch.ao.nn import intrinsic as nni

from mobileopt.errors import CombinationError
from mobileopt.optimizations._tracing import one_line
from mobileopt.optimizations.result import Result
from mobileopt.quantized_engine import engine as quantized_engine

KINDS: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nni.LinearReLU,
    nn.LSTM,
    nn.GRU,
    nn.LSTMCell,
    nn.GRUCell,
    nn.RNNCell,
)
"""The layers torch has dynamic int8 kernels for."""


def apply(module: nn.Module, example_inputs: tuple[Tensor, ...], *, engine: str) -> Result:
    """Quantize the linear and recurrent layers' weights for `engine`.

    The result answers rightly only under the same engine. Raises CapabilityError when this torch
    lacks the engine and CombinationError for a model without any such layer or with one that is
    called in a way its dynamic kernel cannot be.
    """
    if not any(type(layer) in KINDS for layer in module.modules()):
        raise CombinationError(
            "dynamic int8 quantizes linear and recurrent layers, and the model has none"
        )
    with quantized_engine(engine), torch.no_grad():
        quantized = ao.quantize_dynamic(module, set(KINDS), dtype=torch.qint8)
        _check_that_it_runs(quantized, example_inputs)
    layers = {name for name, _ in module.named_modules()}
    return Result(quantized, tuple(name for name in _dynamic(quantized) if name in layers))


def _check_that_it_runs(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    try:
        module(*inputs)
    except (
        RuntimeError
    ) as error:  # an unbatched LSTM, for one: the float layer takes two dimensions
        raise CombinationError(f"in dynamic int8 the model fails: {one_line(error)}") from error


def _dynamic(module: nn.Module) -> Iterator[str]:
    for name, layer in module.named_modules():
        if ".quantized.dynamic" in type(layer).__module__:
            yield name
