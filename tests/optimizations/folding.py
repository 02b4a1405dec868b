"""Small models and the check that every folding test makes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from mobileopt.optimizations import fold_conv_bn
from mobileopt.optimizations._checking import difference, error
from mobileopt.optimizations.result import Result

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, FrozenBatchNorm2d)
EXACT = 1e-12


def ready(model: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    """In evaluation, with statistics and weights that are not what a new model has."""
    generator = torch.Generator().manual_seed(7)
    for module in model.modules():
        if isinstance(module, NORMS):
            for name, low in (("running_mean", -1), ("running_var", 0.5), ("bias", -1)):
                tensor = getattr(module, name)
                if tensor is not None:
                    tensor.data = torch.rand(tensor.shape, generator=generator) + low
            if module.weight is not None:
                module.weight.data = torch.rand(module.weight.shape, generator=generator) - 0.3
    return model.eval().to(dtype)


def image(channels: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(
        2, channels, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    ).to(dtype)


def folded(model: nn.Module, *inputs: object, tolerance: float = EXACT) -> Result:
    """Fold, check the outputs and that the input is as it was, and hand the result on."""
    before = copy.deepcopy(dict(model.state_dict()))
    modes = [module.training for module in model.modules()]
    result = fold_conv_bn.apply(model, inputs)
    assert difference(before, dict(model.state_dict())) is None
    assert modes == [module.training for module in model.modules()]
    mine = {parameter.data_ptr() for parameter in model.parameters()}
    assert not mine & {parameter.data_ptr() for parameter in result.module.parameters()}
    with torch.no_grad():
        assert error(model(*inputs), result.module(*inputs)) <= tolerance
    return result


def count(module: nn.Module) -> int:
    return sum(isinstance(child, NORMS) for child in module.modules())


class Graph(nn.Module):
    """A model of the given children and a forward of one line."""

    def __init__(self, function, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            setattr(self, name, child)
        self.function = function

    def forward(self, x):
        return self.function(self, x)
