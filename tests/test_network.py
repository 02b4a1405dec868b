import hashlib
import os
import subprocess
import sys

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from mobileopt import models, network
from mobileopt.errors import CapabilityError, InputError, UnknownNameError

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
