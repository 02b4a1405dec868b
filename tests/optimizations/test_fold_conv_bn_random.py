from __future__ import annotations

import torch
from folding import EXACT, folded, image, ready
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mobileopt.optimizations import fuse_modules
from mobileopt.optimizations._checking import error
from mobileopt.optimizations.result import Result

# torch.jit.script warns of an annotation in torch's own GraphModule.


STEP = st.sampled_from(["conv", "norm", "relu", "add", "again", "drop", "grouped", "pre"])


class Random(nn.Module):
    """Steps drawn one after another; "again" calls an earlier conv, "add" uses earlier values."""

    def __init__(self, steps: list[str], picks: list[int]) -> None:
        super().__init__()
        self.steps, self.picks = steps, picks
        makers = {
            "conv": lambda: nn.Conv2d(4, 4, 3, padding=1),
            "grouped": lambda: nn.ConvTranspose2d(4, 4, 3, padding=1, groups=2, bias=False),
            "pre": lambda: nn.Conv2d(4, 4, 1),
            "norm": lambda: nn.BatchNorm2d(4),
            "drop": nn.Dropout,
            "relu": nn.ReLU,
        }
        self.parts = nn.ModuleList(makers[s]() for s in steps if s in makers)

    def forward(self, x: Tensor) -> Tensor:
        values, used = [x], []
        parts = iter(self.parts)
        for step, pick in zip(self.steps, self.picks, strict=True):
            value = values[-1 - pick % min(2, len(values))]
            if step == "add":
                value = value + values[pick % len(values)]
            elif step == "again":
                value = used[pick % len(used)](value) if used else value
            else:
                used.append(next(parts))
                value = used[-1](value)
            values.append(value)
        return values[-1] + values[-2]


class OverShapes(nn.Module):
    """The same behind a condition over shapes, which only an export sees through."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) if x.shape[0] == 2 else x


class OverValues(OverShapes):
    """The same behind a condition over values, which nothing sees through."""

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) if x.abs().sum() < 1e9 else x


def drawn(data: st.DataObject) -> nn.Module:
    steps = data.draw(st.lists(STEP, min_size=2, max_size=9))
    picks = data.draw(st.lists(st.integers(0, 9), min_size=len(steps), max_size=len(steps)))
    return ready(Random(steps, picks))


def check_account(model: nn.Module, result: Result) -> None:
    """Every normalisation is either folded or left."""
    norms = {name for name, child in model.named_modules() if isinstance(child, nn.BatchNorm2d)}
    assert {*result.folded, *result.left} - {""} == norms
    assert not {*result.folded} & {*result.left}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_graphs_compute_what_they_did(data: st.DataObject):
    model = drawn(data)
    check_account(model, folded(model, image(4)))


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_random_graphs_behind_a_condition_compute_what_they_did(data: st.DataObject):
    kind = data.draw(st.sampled_from([OverShapes, OverValues]))
    model = kind(drawn(data)).eval()
    check_account(model, folded(model, image(4)))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_graphs_fused_compute_what_they_did(data: st.DataObject):
    model = drawn(data)
    result = fuse_modules.apply(model, (image(4),))
    with torch.no_grad():
        assert error(model(image(4)), result.module(image(4))) <= EXACT
    assert not any("fused model" in reason for reason in result.left.values())
