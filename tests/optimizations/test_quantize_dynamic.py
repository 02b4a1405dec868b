import copy

import pytest
import torch
from torch import nn

from mobileopt import fidelity, network
from mobileopt.backends import eager, lite, mobile, torchscript
from mobileopt.errors import CapabilityError, CombinationError
from mobileopt.optimizations import fold_conv_bn, fuse_modules, quantize_dynamic
from mobileopt.quantized_engine import engine


@pytest.fixture(scope="module")
def mlp():
    return network.load("mlp")


@pytest.mark.parametrize("name", ["qnnpack", "x86"])
@pytest.mark.parametrize("backend", [eager, torchscript, mobile, lite])
def test_a_perceptron_stays_close_in_every_backend_that_runs_it(name, backend, mlp, tmp_path):
    inputs = mlp.example_inputs(4)
    result = quantize_dynamic.apply(mlp.module, inputs, engine=name)
    with engine(name), torch.no_grad():
        (tmp_path / "model").write_bytes(backend.export(result.module, inputs).data)
        answers = fidelity.outputs(backend.load(tmp_path / "model"), [inputs])
    reference = fidelity.outputs(mlp.module, [inputs])
    assert fidelity.compare(reference, answers).noise < 0.03


@pytest.mark.parametrize("fusion", [fuse_modules, fold_conv_bn])
def test_layers_that_fusion_changed_are_quantized(fusion, mlp):
    inputs = mlp.example_inputs()
    fused = fusion.apply(mlp.module, inputs).module
    result = quantize_dynamic.apply(fused, inputs, engine="x86")
    assert len(result.changed) == 4


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_a_recurrent_layer_is_quantized(layer):
    torch.manual_seed(0)
    module = nn.Sequential(layer(8, 8)).eval()
    x = torch.randn(5, 2, 8) if layer in (nn.LSTM, nn.GRU) else torch.randn(5, 8)
    result = quantize_dynamic.apply(module, (x,), engine="x86")
    assert result.changed == ("0",)
    assert ".dynamic" in type(result.module[0]).__module__
    with engine("x86"), torch.no_grad():
        answers = [each(x) for each in (module, result.module)]
    for _ in range(2):  # some answer a state too, and an LSTM's is a pair
        answers = [each[0] if isinstance(each, tuple) else each for each in answers]
    torch.testing.assert_close(*answers, atol=0.05, rtol=0)


def test_an_unbatched_recurrent_layer_is_refused_because_its_dynamic_kernel_cannot():
    with pytest.raises(CombinationError, match="the model fails: input must have 3 dimensions"):
        quantize_dynamic.apply(nn.Sequential(nn.LSTM(8, 8)), (torch.ones(5, 8),), engine="x86")


def test_a_model_without_such_layers_is_refused_in_one_sentence():
    module = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU())
    with pytest.raises(CombinationError, match="linear and recurrent layers, and the model has no"):
        quantize_dynamic.apply(module, (torch.ones(1, 3, 5, 5),), engine="x86")


def test_the_module_that_is_quantized_stays_as_it_was(mlp):
    module = copy.deepcopy(mlp.module)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    quantize_dynamic.apply(module, mlp.example_inputs(), engine="qnnpack")
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_the_processs_engine_is_put_back_and_one_there_is_not_is_refused(mlp):
    before = torch.backends.quantized.engine
    quantize_dynamic.apply(mlp.module, mlp.example_inputs(), engine="qnnpack")
    assert torch.backends.quantized.engine == before
    with pytest.raises(CapabilityError, match="no quantized engine 'nnapi'"):
        quantize_dynamic.apply(mlp.module, mlp.example_inputs(), engine="nnapi")
