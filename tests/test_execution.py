import json
import subprocess
import sys

import pytest
import torch

from mobileopt import build, capabilities, execution, network, recipes
from mobileopt.conditions import ENVIRONMENT, environment
from mobileopt.errors import ArtifactError, CapabilityError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    workshop = build.Workshop(network.load("annotated_conv_bn_relu"))
    out = tmp_path_factory.mktemp("artifacts")
    return build.export(workshop, recipes.parse("fused-int8_qnnpack-nhwc-mobile"), out).folder


def test_loading_sets_the_engine_the_artifact_was_made_for(folder, monkeypatch):
    monkeypatch.setattr(torch.backends.quantized, "engine", "x86")
    execution.load(folder)
    assert torch.backends.quantized.engine == "qnnpack"


def test_loading_fixes_the_number_of_threads(folder):
    torch.set_num_threads(2)
    execution.load(folder)
    assert torch.get_num_threads() == 1


def test_an_engine_this_torch_lacks_is_refused_before_loading(folder, monkeypatch):
    monkeypatch.setattr(capabilities, "quantized_engine", lambda name: f"no {name} here")
    with pytest.raises(CapabilityError, match="cannot run here: no qnnpack here"):
        execution.load(folder)


def test_a_forward_pass_answers_the_same_every_time(folder):
    _, forward = execution.load(folder)
    assert torch.equal(forward(), forward())


def test_warming_up_stops_when_the_times_have_settled():
    ticks = iter([9.0, 5.0, 3.0, 2.0, 1.5, *[1.0] * 10])
    samples = []
    while not execution.has_settled(samples):
        samples.append(next(ticks))
    assert samples == [9.0, 5.0, 3.0, 2.0, 1.5, *[1.0] * 8]


def test_times_have_not_settled_before_ten_calls():
    assert not execution.has_settled([1.0] * 9)
    assert execution.has_settled([1.0] * 10)


def test_times_that_never_settle_end_the_warm_up_without_convergence(monkeypatch):
    slow = iter(range(1, 10_000))
    monkeypatch.setattr(execution, "sample", lambda forward: (float(2 ** next(slow)), 1.0))
    warmup = execution.warm_up(lambda: None)
    assert not warmup.converged
    assert len(warmup.samples) == execution.MAX_WARMUP


def test_a_round_has_at_least_the_samples_and_the_seconds_it_was_asked_for(monkeypatch):
    monkeypatch.setattr(execution, "sample", lambda forward: (0.25, 0.25))
    assert len(execution.samples(lambda: None, samples=3, seconds=0.0)) == 3
    assert len(execution.samples(lambda: None, samples=3, seconds=2.0)) == 8


def test_a_slow_model_gets_fewer_samples_a_round_but_always_one(monkeypatch):
    monkeypatch.setattr(execution, "sample", lambda forward: (0.25, 0.25))
    assert len(execution.samples(lambda: None, samples=9, seconds=0.05)) == 2
    assert len(execution.samples(lambda: None, samples=9, seconds=0.01)) == 1


def serve(folder, lines):
    command = [sys.executable, "-m", "mobileopt.execution", str(folder)]
    return subprocess.run(
        command, input=lines, capture_output=True, text=True, env=environment(), check=False
    )


def test_the_process_says_when_it_is_warm_and_answers_every_line(folder):
    done = serve(folder, '{"samples": 3, "seconds": 0}\n{"samples": 1, "seconds": 0}\n')
    ready, three, one = [json.loads(line) for line in done.stdout.splitlines()]
    assert ready["ready"] == "annotated_conv_bn_relu/fused-int8_qnnpack-nhwc-mobile"
    assert [len(three["wall"]), len(three["cpu"]), len(one["wall"])] == [3, 3, 1]
    assert all(value > 0 for value in three["wall"])
    assert done.returncode == 0


def test_the_process_ends_with_one_sentence_for_a_folder_that_is_no_artifact(tmp_path):
    done = serve(tmp_path, "")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be read as a manifest" in done.stderr


def test_a_manifest_that_garbles_the_inputs_is_refused(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["inputs"] = [{"shape": "no"}]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="lacks or garbles"):
        execution.load(tmp_path)


def test_a_measuring_process_has_the_conditions_set_over_its_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert environment().items() >= ENVIRONMENT.items()
