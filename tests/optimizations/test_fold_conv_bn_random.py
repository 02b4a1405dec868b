from __future__ import annotations

import pytest
from folding import folded, image, ready
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

# torch.jit.script warns of an annotation in torch's own GraphModule.
pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")


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


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_graphs_compute_what_they_did(data: st.DataObject):
    steps = data.draw(st.lists(STEP, min_size=2, max_size=9))
    picks = data.draw(st.lists(st.integers(0, 9), min_size=len(steps), max_size=len(steps)))
    model = ready(Random(steps, picks))
    result = folded(model, image(4))
    norms = {name for name, child in model.named_modules() if isinstance(child, nn.BatchNorm2d)}
    assert {*result.folded, *result.left} == norms
    assert not {*result.folded} & {*result.left}
