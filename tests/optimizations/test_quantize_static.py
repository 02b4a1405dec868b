import pytest
import torch
from torch import nn
from torch.ao.quantization import DeQuantStub, QuantStub

from mobileopt import build, fidelity, network
from mobileopt.errors import CapabilityError, CombinationError
from mobileopt.optimizations import quantize_static
from mobileopt.quantized_engine import engine


def batches(count=2):
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(2, 3, 16, 16, generator=generator),) for _ in range(count)]


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


def sqnr_of(module, name):
    calibration = batches()
    result = quantize_static.apply(module, calibration[0], engine=name, calibration=calibration)
    with engine(name):
        found = fidelity.outputs(result.module, calibration)
    noise = fidelity.compare(fidelity.outputs(module, calibration), found).noise
    return -20 * torch.log10(torch.tensor(noise)).item()


@pytest.mark.parametrize("name", ["qnnpack", "x86", "onednn"])
def test_a_residual_network_is_quantized_and_stays_close(name):
    assert sqnr_of(Residual().eval(), name) > 25


@pytest.mark.parametrize("name", ["qnnpack", "x86"])
@pytest.mark.parametrize("inplace", [True, False])
def test_relu6_after_a_convolution_clamps_in_the_right_places(name, inplace):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(inplace), nn.Conv2d(8, 4, 3)]
    nn.init.normal_(layers[0].weight, std=2)  # beyond six, so that the clamp matters
    assert sqnr_of(nn.Sequential(*layers).eval(), name) > 20


def test_relu6_anywhere_else_clamps_in_the_right_places_under_qnnpack():
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.act = nn.ReLU6()

        def forward(self, x):
            y = self.conv(x)
            return nn.functional.relu6(self.act(4 * y + x) + y)

    assert sqnr_of(Net().eval(), "qnnpack") > 20


def test_the_module_that_is_quantized_stays_as_it_was():
    module = Residual().eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    quantize_static.apply(module, batches()[0], engine="x86", calibration=batches())
    assert type(module.conv) is nn.Conv2d
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_quantizing_puts_the_processs_engine_back():
    before = torch.backends.quantized.engine
    quantize_static.apply(Residual().eval(), batches()[0], engine="qnnpack", calibration=batches())
    assert torch.backends.quantized.engine == before


def test_an_engine_this_torch_lacks_is_told_with_those_it_has():
    with pytest.raises(CapabilityError, match=r"no quantized engine 'nnapi'; it has .*qnnpack"):
        quantize_static.apply(Residual(), batches()[0], engine="nnapi", calibration=batches())


def test_a_model_that_can_be_neither_traced_nor_stubbed_is_refused_with_the_reason():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(CombinationError, match="has no QuantStubs and FX cannot trace it"):
        quantize_static.apply(Branches(), batches()[0], engine="x86", calibration=batches())


def test_a_quantized_layer_is_named_and_one_that_stays_float_is_reported():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.quant, self.dequant = QuantStub(), DeQuantStub()
            self.conv = nn.Conv2d(3, 3, 3)
            self.head = nn.Linear(14, 2)
            self.head.qconfig = None  # the model's author keeps it float

        def forward(self, x):
            return self.head(self.dequant(self.conv(self.quant(x))))

    result = quantize_static.apply(Net().eval(), batches()[0], engine="x86", calibration=batches())
    assert "conv" in result.changed
    assert "head" not in result.changed
    assert "stays float" in result.left["head"]


def test_an_unfused_annotated_model_can_be_scripted():
    workshop = build.Workshop(network.load("annotated_conv_bn_relu"))
    with engine("qnnpack"):
        result = quantize_static.apply(
            workshop.network.module,
            workshop.example_inputs,
            engine="qnnpack",
            calibration=workshop.calibration,
        )
        answer = torch.jit.script(result.module)(*workshop.example_inputs)
        torch.testing.assert_close(answer, result.module(*workshop.example_inputs))
