from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from folding import folded, image, ready
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torchvision.ops import FrozenBatchNorm2d

from mobileopt.optimizations import fold_conv_bn
from mobileopt.optimizations._checking import difference, error


class Branch(nn.Module):
    """Control flow over the shape of the input, which FX cannot trace, around `body`."""

    def __init__(self, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), norm or nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] > 4:
            return self.body(x)
        return x

    def body(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu()


def test_control_flow_over_shapes_is_folded_by_export():
    result = folded(ready(Branch()), image())
    assert result.folded == ("norm",)
    assert not result.left
    assert not any("norm" in name for name in result.module.state_dict())


def test_the_folded_export_scripts_and_exports():
    model = ready(Branch())
    module = folded(model, image()).module
    assert difference(model(image()), torch.jit.script(module)(image())) is None
    exported = torch.export.export(module, (image(),))
    assert difference(model(image()), exported.module()(image())) is None


@pytest.mark.parametrize("scripted", [False, True])
def test_a_shape_other_than_the_exported_one_is_refused_not_computed_wrongly(scripted: bool):
    module = folded(ready(Branch()), image()).module
    module = torch.jit.script(module) if scripted else module
    with pytest.raises(Exception, match=r"x is not torch.float64 of shape \(2, 3, 9, 9\)"):
        module(image()[:, :, :4])


class Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight - self.weight.mean((1, 2, 3), keepdim=True)) * 3
        return F.conv2d(x, weight, self.bias)


def test_a_weight_that_forward_computes_is_computed_once_and_folded():
    model = ready(nn.Sequential(Standardised(3, 4, 3), nn.BatchNorm2d(4)))
    result = folded(model, image())
    assert result.folded == ("1",)
    assert not any(node.target == torch.ops.aten.mean for node in result.module.graph.nodes)


@pytest.mark.parametrize("derive", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_a_parametrized_weight_is_computed_once_and_folded(derive):
    model = Branch()
    derive(model.conv)
    assert folded(ready(model), image()).folded == ("norm",)


def test_a_weight_that_forward_writes_to_is_left():
    class Writing(Branch):
        def body(self, x: Tensor) -> Tensor:
            self.scale.view(-1).add_(1)
            return self.norm(F.conv2d(x, self.conv.weight * self.scale))

    model = Writing()
    model.register_buffer("scale", torch.ones(1))
    left = fold_conv_bn.apply(ready(model), (image(),)).left
    assert "forward computes" in left["norm"]


def test_a_weight_read_elsewhere_is_left():
    class Twice(Branch):
        def body(self, x: Tensor) -> Tensor:
            return super().body(x) + F.conv2d(x, self.conv.weight)

    assert folded(ready(Twice()), image()).left == {
        "norm": "the weight of 'conv' is also read by conv2d.default"
    }


def test_a_norm_in_training_mode_is_left():
    model = ready(Branch())
    model.norm.train()
    left = fold_conv_bn.apply(model, (image(),)).left
    assert left == {"norm": "is in training mode: it normalises by the batch"}


def test_hooks_are_never_dropped():
    model = ready(Branch())
    model.conv.register_forward_hook(lambda m, i, o: o + 1)
    result = folded(model, image())
    assert result.left["norm"].endswith("'conv' has hooks, which an export would drop")
    assert result.module.conv._forward_hooks


def test_control_flow_over_values_is_left_with_one_reason_for_the_model(capfd):
    class OverValues(Branch):
        def forward(self, x: Tensor) -> Tensor:
            return self.body(x) if x.sum() > 0 else self.body(-x)

    result = folded(ready(OverValues()), image())
    assert result.left["norm"].startswith("FX cannot trace the model: ")
    assert "; torch.export cannot export the model: " in result.left["norm"]
    assert capfd.readouterr() == ("", "")


def test_a_model_without_norms_of_its_own_that_cannot_be_traced_is_left_under_an_empty_name():
    class Functional(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    assert folded(Functional(), image()).left.keys() == {""}


def test_nested_inputs_and_outputs_keep_their_form():
    class Nested(Branch):
        def forward(self, first, rest):  # type: ignore[override]
            if first.shape[0] != 2:
                return {}
            return {"a": [self.body(rest["x"]), (first,)], "n": 3}

    model = ready(Nested())
    inputs = (image() + 1, {"z": [image()], "x": image() + 2})
    result = folded(model, *inputs)
    assert result.folded == ("norm",)
    found = result.module(*inputs)
    assert found.keys() == {"a", "n"}
    assert type(found["a"][1]) is tuple


def test_any_number_of_arguments_is_folded():
    class Any(Branch):
        def forward(self, *images: Tensor) -> Tensor:  # type: ignore[override]
            return self.body(images[0]) + self.body(images[1])

    assert folded(ready(Any()), image(), image() + 1).folded == ("norm",)


def test_a_frozen_norm_is_folded():
    model = Branch(FrozenBatchNorm2d(4)).eval().double()
    model.norm.running_mean.copy_(torch.arange(4))
    model.norm.bias.copy_(torch.arange(4) / 3)
    assert folded(model, image()).folded == ("norm",)


class Stateful(nn.Module):
    """Adds its last output, which it keeps as a plain attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3))
        self.last = torch.zeros(1, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        self.last = self.block(x) + self.last
        return self.last


def test_a_model_that_keeps_its_last_output_still_does():
    model = ready(Stateful())
    result = fold_conv_bn.apply(model, (image(),))
    assert result.folded == ("block.1",)
    with torch.no_grad():
        for _ in range(3):
            assert error(model(image()), result.module(image())) <= 1e-12


class Counting(Branch):
    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(1)
        return super().forward(x)


def test_a_model_that_appends_to_a_list_of_its_own_is_left():
    model = Counting()
    model.seen = []
    reason = folded(ready(model), image()).left["norm"]
    assert "forward changes 'seen', which a trace would not" in reason
