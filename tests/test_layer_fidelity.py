import io
import json

import pytest
import torch
from own_nets import Net
from rich.console import Console
from torch import nn

from mobileopt import build, layer_fidelity, network, recipes
from mobileopt.__main__ import main
from mobileopt.commands import fidelity as command
from mobileopt.optimizations import fold_conv_bn, fuse_modules
from mobileopt.reference import InputSpec


def batches(count=3):
    generator = torch.Generator().manual_seed(3)
    return [(torch.randn(2, 3, 16, 16, generator=generator),) for _ in range(count)]


def compare(original, optimized):
    return layer_fidelity.compare(original, optimized, [(each, each) for each in batches()])


class Residual(nn.Module):
    """A ReLU called twice, once after an addition in place."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(3)
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x
        return self.relu(y)


def test_the_same_model_has_no_noise_anywhere():
    net = Net().eval()
    found = compare(net, net)
    assert [(layer.name, layer.against, layer.noise) for layer in found.layers] == [
        ("conv", "conv", 0), ("norm", "norm", 0), ("head", "head", 0)
    ]  # fmt: skip
    assert not found.vanished


def test_the_noise_of_a_layer_is_that_of_its_outputs_over_all_inputs_and_worst_comes_first():
    net, other = nn.Sequential(nn.ReLU(), nn.Hardtanh(-9, 9)), nn.Sequential(nn.ReLU(), nn.ELU())
    other[0].register_forward_hook(lambda *_: _[2] * 1.01)
    other[1].register_forward_hook(lambda *_: _[2] * 1.1)
    found = compare(net, other)
    assert [layer.name for layer in found.layers] == ["1", "0"]
    assert found.layers[1].noise == pytest.approx(0.01, rel=1e-3)
    assert found.layers[0].noise == pytest.approx(0.111, rel=1e-3)


@pytest.mark.parametrize("optimize", [fuse_modules.apply, fold_conv_bn.apply])
def test_a_fused_layer_is_compared_with_the_last_of_what_went_into_it(optimize):
    net = Residual().eval()
    net.bn1.running_mean.fill_(0.3)
    found = compare(net, optimize(net, batches()[0]).module)
    against = {layer.name: layer.against for layer in found.layers}
    assert against["conv2"] == "bn2"
    assert against["conv1"] == "bn1"
    assert found.vanished == {"bn1": "part of conv1", "bn2": "part of conv2"}
    assert all(layer.noise < 1e-5 for layer in found.layers)


def test_a_chain_ends_where_its_tensor_is_written_to():
    net = Residual().eval()
    gone = fuse_modules.apply(net, batches()[0]).module
    gone.relu = nn.Identity()
    found = compare(net, gone)
    against = {layer.name: layer.against for layer in found.layers}
    assert against["conv2"] == "bn2"
    assert found.vanished["relu"] == "part of conv1"
    assert found.vanished["relu#2"] == "no layer of its own any more"


def test_a_layer_fused_with_a_function_is_compared_with_what_that_answers():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return nn.functional.relu(self.conv(x))

    net = Functional().eval()
    workshop = build.Workshop(
        network.Network("net", net, "", lambda batch=1, seed=0: (batches()[0][0][:1],))
    )
    found = build.layer_fidelity(workshop, recipes.parse("unfused-int8_x86-nchw-torchscript"))
    (layer,) = found.layers
    assert layer.kind == "ConvReLU2d"
    assert layer.noise < 0.1


def test_a_layer_that_changed_its_shape_is_left_out():
    net = nn.Sequential(nn.Flatten(), nn.ReLU())
    assert [layer.name for layer in compare(net, nn.Sequential(nn.ReLU(), nn.ReLU())).layers] == []


@pytest.mark.parametrize("model", ["resnet18", "mobilenet_v2"])
@pytest.mark.parametrize("recipe", ["unfused-int8_x86-nchw-mobile", "fused-int8_x86-nhwc-mobile"])
def test_every_convolution_of_an_int_8_network_is_found_and_close(model, recipe):
    spec = InputSpec((1, 3, 64, 64))
    workshop = build.Workshop(network.load(f"torchvision.models:{model}", inputs=[spec]))
    convs = {n for n, m in workshop.network.module.named_modules() if isinstance(m, nn.Conv2d)}
    found = build.layer_fidelity(workshop, recipes.parse(recipe))
    noises = {layer.name: layer.noise for layer in found.layers}
    assert convs <= set(noises)
    assert all(0 < noises[name] < 1.3 for name in convs)
    first = next(iter(n for n, _ in workshop.network.module.named_modules() if n in convs))
    assert noises[first] < 0.05
    assert [layer.noise for layer in found.layers] == sorted(noises.values(), reverse=True)
    norms = {n for n, m in workshop.network.module.named_modules() if "BatchNorm" in str(type(m))}
    assert all(found.vanished[name].startswith("part of ") for name in norms)


def test_eager_mode_int_8_is_compared_between_its_stubs():
    workshop = build.Workshop(network.load("annotated_conv_bn_relu"))
    found = build.layer_fidelity(workshop, recipes.parse("fused-int8_qnnpack-nchw-mobile"))
    assert {layer.name: layer.against for layer in found.layers} == {
        "quant": "quant", "conv": "relu", "dequant": "dequant",
    }  # fmt: skip
    assert found.vanished == {"bn": "part of conv", "relu": "part of conv"}


def test_the_command_prints_strict_json(capsys, monkeypatch):
    recipe = "unfused-float-nhwc_inside-eager"
    assert main(["fidelity", "own_nets:Net", recipe, "--input", "1,3,16,16", "--json"]) == 0
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert document["variant"] == f"own_nets-Net/{recipe}"
    assert {layer["layer"] for layer in document["layers"]} == {"conv", "norm", "head"}


def test_the_table_holds_the_worst_and_what_vanished():
    layers = tuple(layer_fidelity.Layer(f"conv{n}", "Conv2d", "bn", 10.0**-n) for n in (1, 2, 3))
    found = layer_fidelity.LayerFidelity(layers, {"bn": "part of conv1"})
    file = io.StringIO()
    command._show("net/recipe", found, 2, Console(file=file, width=120))
    text = file.getvalue()
    assert "20.0 dB" in text
    assert "conv3" not in text
    assert "bn: part of conv1" in text


def test_the_command_refuses_what_the_model_cannot_go_through(capsys):
    assert main(["fidelity", "mlp", "fx-float-nhwc-mobile"]) == 2
    assert "NHWC needs a 4-D input" in capsys.readouterr().err
