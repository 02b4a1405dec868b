import hashlib
import os
import subprocess
import sys

import pytest
import torch
from own_nets import Net
from torch.nn.modules.batchnorm import _BatchNorm

from mobileopt import models, network
from mobileopt.errors import CapabilityError, InputError, UnknownNameError
from mobileopt.reference import InputSpec

DIGEST = """
import hashlib, sys
from mobileopt.network import load
state = load(sys.argv[1]).module.state_dict()
print(hashlib.sha256(b"".join(v.numpy().tobytes() for v in state.values())).hexdigest())
"""


def digest_elsewhere(name: str, threads: int) -> str:
    env = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": str(threads)}
    command = [sys.executable, "-W", "ignore", "-c", DIGEST, name]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


@pytest.mark.parametrize("name", ["shufflenet_v2_x1_0", "annotated_conv_bn_relu"])
def test_the_same_name_gives_the_same_bits_in_processes_of_different_thread_counts(name):
    assert digest_elsewhere(name, threads=1) == digest_elsewhere(name, threads=2)


@pytest.mark.parametrize("name", models.names())
def test_every_model_answers_different_inputs_differently_and_at_a_sane_size(name):
    net = network.load(name)
    with torch.no_grad():
        answers = net.module(*net.example_inputs(2, seed=5))
    assert torch.isfinite(answers).all()
    assert 1e-3 < answers.std() < 1e3
    assert not torch.equal(answers[0], answers[1])


def test_loading_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    network.load("mlp")
    assert torch.equal(torch.rand(3), expected)


def test_calibration_leaves_every_layer_in_eval_mode_with_its_momentum():
    net = network.load("annotated_conv_bn_relu")
    norms = [layer for layer in net.module.modules() if isinstance(layer, _BatchNorm)]
    assert norms
    assert all(layer.momentum == 0.1 and not layer.training for layer in norms)


def test_an_image_depends_on_its_seed_and_place_alone():
    example_inputs = network.load("annotated_conv_bn_relu").example_inputs
    (alone,), (together,) = example_inputs(1, seed=3), example_inputs(4, seed=3)
    assert torch.equal(alone[0], together[0])
    assert hashlib.sha256(alone.numpy().tobytes()) != hashlib.sha256(together.numpy().tobytes())


def test_an_unknown_model_is_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'resnet18'"):
        network.load("resnet81")


def test_weights_that_cannot_be_downloaded_are_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # the discard port: nobody answers
    with pytest.raises(CapabilityError, match="the weights 'DEFAULT' of resnet18 cannot be had"):
        network.load("resnet18", "DEFAULT")


def test_weights_that_do_not_exist_are_told_with_those_that_do():
    with pytest.raises(InputError, match=r"no weights 'BEST'; it has IMAGENET1K_V1, DEFAULT"):
        network.load("resnet18", "BEST")


def test_a_model_of_our_own_has_no_pretrained_weights():
    with pytest.raises(InputError, match="only seeded ones"):
        network.load("mlp", "DEFAULT")


IMAGE = [InputSpec((1, 3, 16, 16))]


def test_a_users_untrained_network_gets_calibrated_batchnorm_and_says_so():
    net = network.load("own_nets:make", inputs=IMAGE)
    assert net.name == "own_nets-make"
    assert net.weights == "factory:own_nets:make:seed:0:calibrated-batchnorm"
    assert not torch.equal(net.module.norm.running_var, torch.ones(16))
    assert not net.module.training


def test_a_users_trained_network_stays_as_it_is():
    net = network.load("own_nets:trained", inputs=IMAGE)
    assert net.weights == "factory:own_nets:trained:seed:0"
    assert (net.module.norm.running_mean == 0.5).all()


def test_a_users_weights_stay_as_they_are_also_where_batchnorm_looks_untrained(tmp_path):
    torch.save(Net(16).state_dict(), tmp_path / "net.pt")
    net = network.load("own_nets:make", str(tmp_path / "net.pt"), inputs=IMAGE)
    assert net.weights.startswith("file:net.pt:")
    assert (net.module.norm.running_var == 1).all()


def test_a_file_of_weights_goes_into_one_of_our_models_too(tmp_path):
    state = network.load("mlp").module.state_dict()
    state["0.bias"] = torch.full_like(state["0.bias"], 3.0)
    torch.save(state, tmp_path / "mlp.pt")
    net = network.load("mlp", str(tmp_path / "mlp.pt"))
    assert net.weights.startswith("file:mlp.pt:")
    assert (net.module.state_dict()["0.bias"] == 3).all()


def test_a_program_knows_its_inputs_and_is_named_by_its_file(tmp_path):
    program = torch.export.export(Net().eval(), (torch.ones(1, 3, 16, 16),))
    torch.export.save(program, tmp_path / "small.pt2")
    net = network.load(str(tmp_path / "small.pt2"))
    assert net.name == "small"
    assert net.weights.startswith("file:small.pt2:")
    assert net.example_inputs()[0].shape == (1, 3, 16, 16)
    assert network.load(str(tmp_path / "small.pt2"), name="other").name == "other"


@pytest.mark.parametrize(
    ("model", "inputs", "sentence"),
    [
        ("own_nets:make", [], "needs its inputs; say them as --input"),
        ("own_nets:make", [InputSpec((1, 4, 9, 9))], r"does not run on .*\(1, 4, 9, 9\): Runtime"),
        ("own_nets:make", [*IMAGE, *IMAGE], "does not run on inputs of shape .*: TypeError"),
        ("own_nets:NotFinite", IMAGE, "answers values that are not finite"),
        ("own_nets:Wordy", IMAGE, "answers a str without a tensor"),
        ("resnet18", IMAGE, "resnet18 brings its own inputs"),
    ],
)
def test_inputs_that_do_not_go_with_the_model_are_one_sentence(model, inputs, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        network.load(model, inputs=inputs)
    assert "\n" not in str(caught.value)


def test_a_fixed_batch_leaves_batchnorm_as_built(tmp_path, monkeypatch):
    (tmp_path / "own_fixed.py").write_text(
        "from own_nets import Net\n"
        "class Fixed(Net):\n"
        "    def forward(self, x):\n"
        "        return super().forward(x.reshape(1, 3, 16, 16))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    net = network.load("own_fixed:Fixed", inputs=IMAGE)
    assert net.weights == "factory:own_fixed:Fixed:seed:0"
    assert (net.module.norm.running_var == 1).all()
    assert not net.module.norm.training
    assert net.module.norm.momentum == 0.1
