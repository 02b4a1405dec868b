from __future__ import annotations

import torch
import torch.nn.functional as F
from folding import folded, image, ready
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from mobileopt.optimizations._checking import error


class Branch(nn.Module):
    """Control flow over the values of its input, around a block without any."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*(layers or (nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.ReLU())))
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 1e9:
            return self.norm(x)
        return self.body(x)

    def body(self, x: Tensor) -> Tensor:
        return self.block(x)


def test_a_block_of_a_model_that_cannot_be_traced_is_folded_in_its_place():
    model = ready(Branch())
    result = folded(model, image())
    assert result.folded == ("block.1",)
    assert result.left == {"norm": "it is not called on the example inputs"}
    assert type(result.module) is Branch
    assert type(result.module.block[1]) is nn.Identity
    with torch.no_grad():
        assert error(model(image() + 1e9), result.module(image() + 1e9)) == 0


def test_a_frozen_norm_in_a_block_is_folded():
    assert folded(ready(Branch(nn.Conv2d(3, 3, 3), FrozenBatchNorm2d(3))), image()).folded


class Aliased(Branch):
    """Its block's conv has a second name."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.block[0]


def test_a_block_whose_conv_is_called_from_outside_is_left():
    class Outside(Aliased):
        def body(self, x: Tensor) -> Tensor:
            return self.block(x) + self.first(x)

    reason = folded(ready(Outside()), image()).left["block.1"]
    assert reason.startswith("'block.0' is also called from outside 'block'")


def test_a_block_whose_weight_is_read_from_outside_is_left():
    class Outside(Aliased):
        def body(self, x: Tensor) -> Tensor:
            return self.block(x) + F.conv2d(x, self.first.weight)

    reason = folded(ready(Outside()), image()).left["block.1"]
    assert reason.startswith("'block.0' has weights that are also read in 'forward'")


def test_a_conv_that_another_way_calls_by_a_second_name_stays_as_it_was_there():
    class Elsewhere(Aliased):
        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 1e9:
                return self.first(x)
            return self.block(x)

    model = ready(Elsewhere())
    result = folded(model, image())
    assert result.folded == ("block.1",)
    with torch.no_grad():
        assert error(model(image() + 1e9), result.module(image() + 1e9)) == 0


def test_a_norm_before_a_conv_in_a_block_is_left():
    reason = folded(ready(Branch(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3))), image()).left["block.0"]
    assert reason.startswith("its input comes from the model's input")


def test_a_conv_and_norm_called_twice_in_a_block_are_left():
    conv, norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)
    reason = folded(ready(Branch(conv, norm, conv, norm)), image()).left["block.1"]
    assert reason.startswith("is called 2 times")


def test_a_block_called_twice_is_folded():
    class Twice(Branch):
        def body(self, x: Tensor) -> Tensor:
            return self.block(self.block(x))

    assert folded(ready(Twice()), image()).folded == ("block.1",)


def test_what_is_called_where_nothing_can_be_traced_is_left_with_both_reasons():
    class Bare(Branch):
        def body(self, x: Tensor) -> Tensor:
            return self.norm(self.block(x))

    left = folded(ready(Bare()), image()).left
    assert left["norm"].startswith("FX cannot trace the model: ")
    assert "; torch.export cannot export the model: " in left["norm"]


class Reaching(Branch):
    """Its other way, which the example inputs do not take, calls the conv without its norm."""

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 1e9:
            return self.block[0](x)
        return self.block(x)


def test_a_block_that_another_way_may_reach_into_is_left():
    model = ready(Reaching())
    result = folded(model, image())
    assert result.left["block.1"].startswith("is inside 'block', which other code may reach")
    with torch.no_grad():
        assert error(model(image() + 1e9), result.module(image() + 1e9)) == 0


def test_a_block_under_two_names_is_left():
    model = Branch()
    model.same = model.block
    assert "which other code may reach into" in folded(ready(model), image()).left["block.1"]
