import importlib

import pytest
import torch
from torch import nn

from mobileopt import network
from mobileopt.backends import eager, lite, mobile, torchscript
from mobileopt.errors import CapabilityError, CombinationError
from mobileopt.optimizations import quantize_static
from mobileopt.quantized_engine import engine

BACKENDS = (eager, torchscript, mobile, lite)


@pytest.fixture(scope="module")
def net():
    return network.load("annotated_conv_bn_relu")


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda each: each.__name__.split(".")[-1])
def test_what_was_exported_answers_as_the_module_did(backend, net, tmp_path):
    inputs = net.example_inputs()
    path = tmp_path / f"model{backend.SUFFIX}"
    with torch.no_grad():
        expected = net.module(*inputs)
        path.write_bytes(backend.export(net.module, inputs).data)
        answer = backend.load(path)(*inputs)
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda each: each.__name__.split(".")[-1])
@pytest.mark.parametrize("name", ["qnnpack", "x86"])
def test_an_int8_module_survives_every_backend(backend, name, net, tmp_path):
    inputs = net.example_inputs()
    with engine(name), torch.no_grad():
        quantized = quantize_static.apply(
            net.module, inputs, engine=name, calibration=[inputs]
        ).module
        expected = quantized(*inputs)
        (tmp_path / "model").write_bytes(backend.export(quantized, inputs).data)
        answer = backend.load(tmp_path / "model")(*inputs)
    torch.testing.assert_close(answer, expected)


def test_a_module_that_cannot_be_scripted_is_refused_in_one_sentence():
    class Unscriptable(nn.Module):
        def forward(self, x):
            return x if isinstance(x, dict) else [*x, *x]

    with pytest.raises(CombinationError) as caught:
        torchscript.export(Unscriptable(), (torch.ones(1),))
    assert str(caught.value).startswith("TorchScript cannot compile the model: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backend", [mobile, lite])
def test_without_xnnpack_the_mobile_rewrite_names_the_last_torch_that_has_it(
    backend, net, monkeypatch
):
    monkeypatch.setattr(torch._C, "_is_xnnpack_enabled", lambda: False)
    with pytest.raises(CapabilityError, match=r"without XNNPACK.*2\.12\.1 is the last"):
        backend.export(net.module, net.example_inputs())


def test_a_backends_file_name_is_its_word():
    for backend in BACKENDS:
        name = backend.__name__.rpartition(".")[2]
        assert importlib.import_module(f"mobileopt.backends.{name}") is backend
