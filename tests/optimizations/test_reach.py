from __future__ import annotations

import pytest
import torchvision
from torch import Tensor, nn

from mobileopt.optimizations._reach import UNKNOWN, reach


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))
        self.blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 3, 3))])
        self.first = self.block[0]


class Calls(Base):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > len(self.blocks) and self.block.training:
            x = self.block(x)
        for i, block in enumerate(self.blocks):
            x = block(x) if i else self.blocks[i](x)
        return x


class Indexes(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.block[0](x)


class Loops(Base):
    def forward(self, x: Tensor) -> Tensor:
        for layer in self.block:
            x = layer(x)
        for block in self.blocks:
            conv = block[0]
            x = conv(x)
        return x


class HandsOn(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.helper(self.block, x)

    def helper(self, block: nn.Module, x: Tensor) -> Tensor:
        return block(x)


class HandsItselfOn(Base):
    def forward(self, x: Tensor) -> Tensor:
        return print(self) or x


class LooksThrough(Base):
    def forward(self, x: Tensor) -> Tensor:
        for child in self.children():
            x = child(x)
        return x


class CallsMethod(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.block.half_of(x)


def test_a_call_is_one_step_and_a_call_of_an_element_is_two():
    assert reach(Calls()) == {"block": 1, "blocks": 2, "first": 1}
    assert reach(Indexes())["block"] == 2


def test_a_loop_goes_one_step_further_and_an_index_of_its_variable_another():
    assert reach(Loops()) == {"block": 2, "blocks": 3, "first": 1}


def test_a_method_of_a_child_may_go_a_step_further():
    assert reach(CallsMethod())["block"] == 2


@pytest.mark.parametrize("kind", [HandsItselfOn, LooksThrough])
def test_a_model_that_hands_itself_on_or_looks_through_its_children_may_reach_anything(kind):
    assert set(reach(kind()).values()) == {UNKNOWN}


def test_a_child_that_is_handed_on_may_be_reached_into():
    assert reach(HandsOn()) == {"block": UNKNOWN, "blocks": 1, "first": 1}


def test_code_without_a_source_may_reach_anything():
    namespace: dict = {}
    exec(
        "class Hidden(Base):\n    def forward(self, x):\n        return x",
        {"Base": Base, "__name__": "nowhere"},
        namespace,
    )
    assert set(reach(namespace["Hidden"]()).values()) == {UNKNOWN}


def test_the_detectors_of_torchvision_call_their_backbone_as_a_whole():
    build = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn
    model = build(weights=None, weights_backbone=None)
    assert reach(model)["backbone"] == 1
