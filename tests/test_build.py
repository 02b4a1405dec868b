import os
import resource

import pytest
import torch

from mobileopt import artifact, build, network, recipes
from mobileopt.errors import CapabilityError, CombinationError, InputError, OutputError
from mobileopt.execution import load
from mobileopt.reference import InputSpec

INT8 = "unfused-int8_x86-nchw-torchscript"


@pytest.fixture(scope="module")
def workshop():
    return build.Workshop(network.load("annotated_conv_bn_relu"))


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    "recipe", [each for each in recipes.suggested() if "dynamic" not in each.precision], ids=str
)
def test_every_suggested_recipe_of_the_recipes_model_is_exported_and_true(
    recipe, workshop, tmp_path
):
    made = build.export(workshop, recipe, tmp_path)
    assert artifact.read(made.folder) == made
    assert made.fidelity.noise < (1e-4 if recipe.precision == "float" else 0.1)
    assert made.engine == recipes.engine(recipe)
    assert (made.calibration is None) == (recipe.precision == "float")
    assert (made.delegation is None) == (recipe.backend != "executorch")


def test_the_folder_is_named_by_model_and_recipe(workshop, tmp_path):
    recipe = recipes.parse("fx-float-nhwc-mobile")
    build.export(workshop, recipe, tmp_path)
    parent = "annotated_conv_bn_relu/fx-float-nhwc-mobile"
    assert names(tmp_path) == [
        "annotated_conv_bn_relu",
        parent,
        f"{parent}/manifest.json",
        f"{parent}/model.pt",
    ]


def test_exporting_again_replaces_the_artifact(workshop, tmp_path):
    recipe = recipes.parse("unfused-float-nchw-torchscript")
    first = build.export(workshop, recipe, tmp_path)
    (first.folder / "stale").touch()
    build.export(workshop, recipe, tmp_path)
    assert not (first.folder / "stale").exists()
    assert len(list(first.folder.parent.iterdir())) == 1


def test_nhwc_inputs_are_recorded_as_channels_last_and_run_so(workshop, tmp_path):
    made = build.export(workshop, recipes.parse("fx-float-nhwc-mobile"), tmp_path)
    assert [each.memory_format for each in made.inputs] == ["channels_last"]
    assert made.inputs[0].shape == (1, 3, 224, 224)


def test_a_batch_reaches_the_inputs(tmp_path):
    workshop = build.Workshop(network.load("mlp"), batch=10)
    made = build.export(workshop, recipes.parse("fx-float-nchw-torchscript"), tmp_path)
    assert made.inputs[0].shape == (10, 784)
    assert load(made.folder)[1]().shape == (10, 10)


def test_a_combination_a_model_cannot_have_is_refused_and_leaves_nothing(tmp_path):
    workshop = build.Workshop(network.load("mlp"))
    with pytest.raises(CombinationError, match="NHWC needs a 4-D input"):
        build.export(workshop, recipes.parse("fx-float-nhwc-mobile"), tmp_path)
    assert not names(tmp_path)


def test_a_backend_this_machine_lacks_is_refused_and_leaves_nothing(
    workshop, tmp_path, monkeypatch
):
    recipe = recipes.parse("fx-float-nhwc-mobile")
    monkeypatch.setattr(recipes.backend(recipe), "missing", lambda: "there is no XNNPACK")
    with pytest.raises(CapabilityError, match="cannot be built: there is no XNNPACK"):
        build.export(workshop, recipe, tmp_path)
    assert not names(tmp_path)


def test_an_output_that_is_a_file_is_refused(workshop, tmp_path):
    out = tmp_path / "out"
    out.write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot write to .*: Not a directory"):
        build.export(workshop, recipes.parse("fx-float-nchw-torchscript"), out)


def test_a_full_disk_leaves_the_old_artifact_and_no_trace(workshop, tmp_path):
    recipe = recipes.parse("fx-float-nchw-torchscript")
    made = build.export(workshop, recipe, tmp_path)
    before = names(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        with pytest.raises(OutputError, match="cannot write to"):
            build.export(workshop, recipe, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == before
    assert artifact.read(made.folder) == made


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to a read-only folder as well")
def test_a_read_only_output_is_refused(workshop, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        build.export(workshop, recipes.parse("fx-float-nchw-torchscript"), tmp_path)


def test_calibration_and_fidelity_use_different_inputs(workshop):
    for batch in workshop.calibration:
        for question in workshop.questions:
            assert not any(torch.equal(each, question[0][0]) for each in batch[0])


def test_the_untouched_model_stays_untouched_by_a_whole_recipe(workshop, tmp_path):
    module = workshop.network.module
    before = {name: value.clone() for name, value in module.state_dict().items()}
    build.export(workshop, recipes.parse("fused-int8_qnnpack-nhwc-mobile"), tmp_path)
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.fixture(scope="module")
def own():
    spec = InputSpec((1, 3, 16, 16))
    return network.load("own_nets:Net", inputs=[spec])


def test_synthetic_data_are_labelled_so(own, tmp_path):
    made = build.export(build.workshop(own), recipes.parse(INT8), tmp_path)
    assert made.calibration == "synthetic:1000"
    assert made.fidelity.source == "synthetic:2000"


def test_a_users_data_are_used_and_labelled(own, tmp_path):
    workshop = build.workshop(own, 1, "own_nets:batches", "own_nets:shuffled")
    made = build.export(workshop, recipes.parse(INT8), tmp_path)
    assert made.calibration.startswith("callable:own_nets:batches:3:")
    assert made.fidelity.source.startswith("callable:own_nets:shuffled:256:")
    synthetic = build.export(build.workshop(own), recipes.parse(INT8), tmp_path)
    assert made.sha256 != synthetic.sha256


def test_calibration_and_evaluation_must_not_be_the_same_data(own):
    with pytest.raises(InputError, match="is in the calibration data as well"):
        build.workshop(own, 1, "own_nets:batches", "own_nets:batches")


def test_evaluation_batches_are_cut_to_what_the_artifact_takes(own):
    workshop = build.workshop(own, 1, evaluation="own_nets:batches")
    assert [len(batch[0]) for batch in workshop.questions] == [1] * 6


def test_a_fixed_batch_is_calibrated_one_input_at_a_time(own):
    assert {len(batch[0]) for batch in build.Workshop(own).calibration} == {1}


def test_whatever_a_pass_raises_of_a_users_model_is_a_refusal_with_its_reason(
    own, tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise ZeroDivisionError("of the user's making")

    monkeypatch.setattr(build, "optimize", fail)
    with pytest.raises(CombinationError, match="cannot be built: ZeroDivisionError: of the user"):
        build.export(build.workshop(own), recipes.parse(INT8), tmp_path)
    assert not names(tmp_path)
