import os
import resource

import pytest
import torch

from mobileopt import artifact, build, network, recipes
from mobileopt.errors import CapabilityError, CombinationError, OutputError
from mobileopt.execution import load


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
