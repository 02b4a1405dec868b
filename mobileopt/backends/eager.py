"""The model as Python runs it: the baseline, which no phone runs."""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mobileopt import capabilities
from mobileopt.backends import Exported
from mobileopt.errors import CombinationError

SUFFIX = ".eager.pt"


def missing() -> str | None:
    """Nothing: eager runs wherever torch does."""
    return None


def export(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> Exported:
    """Pickle the whole module; raises CombinationError when something in it cannot be."""
    for kind in _quantized_convolutions():
        copyreg.pickle(kind, _reduce)
    file = io.BytesIO()
    try:
        torch.save(module, file)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise CombinationError(
            f"the model cannot be pickled ({error}); define its classes and functions at the top "
            "of a module"
        ) from error
    return Exported(file.getvalue())


def _quantized_convolutions() -> tuple[type[Any], ...]:
    """Their own __setstate__ leaves out nn.Module's, so torch cannot unpickle them (2.12)."""
    if capabilities.torch_ao():
        return ()
    from torch.ao.nn import quantized as nnq
    from torch.ao.nn.intrinsic import quantized as nniq

    plain = (nnq.Conv1d, nnq.Conv2d, nnq.Conv3d)
    return (*plain, nniq.ConvReLU1d, nniq.ConvReLU2d, nniq.ConvReLU3d)


def _reduce(layer: Any) -> tuple[Any, ...]:
    state = {key: value for key, value in vars(layer).items() if key != "_packed_params"}
    return _rebuild, (type(layer), state, layer.weight(), layer.bias())


def _rebuild(kind: Any, state: dict[str, Any], weight: Tensor, bias: Tensor | None) -> Any:
    layer = kind.__new__(kind)
    vars(layer).update(state)
    layer.set_weight_bias(weight, bias)
    return layer


def load(path: Path) -> Callable[..., Tensor]:
    """Unpickle the module; only for a file whose manifest vouches for it (`artifact.read`)."""
    return torch.load(path, weights_only=False)
