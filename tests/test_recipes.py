import inspect
import sys

import pytest

from benchmarks import _suite
from mobileopt import models, recipes
from mobileopt.errors import CapabilityError, CombinationError, UnknownNameError
from mobileopt.variant import BASELINE, SLOTS, Recipe


def test_every_word_names_a_module_that_exists_and_offers_what_its_slot_needs():
    for word in recipes.WORDS:
        if word.file is None:
            continue
        needed = ("SUFFIX", "export", "load", "missing") if word.slot == "backend" else ("apply",)
        assert all(hasattr(word.load(), name) for name in needed), word


def test_every_slot_begins_with_the_baselines_word():
    assert tuple(recipes.words(slot)[0] for slot in SLOTS) == BASELINE.words


def test_an_unknown_engine_is_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'int8_qnnpack'"):
        recipes.parse("fx-int8_qnnpak-nhwc-mobile")


def test_every_listed_recipe_passes_its_own_check():
    for recipe in recipes.all_recipes():
        recipes.check(recipe)


def test_a_refused_recipe_is_not_listed_and_says_why(monkeypatch):
    rule = (lambda recipe: recipe.backend == "lite", "there is no such phone")
    monkeypatch.setattr(recipes, "_REFUSALS", (rule,))
    recipe = Recipe.parse("fx-float-nhwc-lite")
    assert recipe not in recipes.all_recipes()
    with pytest.raises(CombinationError, match="fx-float-nhwc-lite cannot be: there is no such"):
        recipes.check(recipe)


def test_optimizations_come_in_the_order_of_the_words():
    found = recipes.passes(Recipe.parse("fused-int8_qnnpack-nhwc-mobile"))
    assert [word.file for word in found] == [
        "fuse_modules",
        "quantize_static",
        "convert_channels_last",
    ]


def test_only_int8_recipes_of_torchs_kernels_have_an_engine():
    assert recipes.engine(BASELINE) is None
    assert recipes.engine(Recipe.parse("fx-int8_xnnpack-nchw-executorch")) is None
    assert recipes.engine(Recipe.parse("fx-int8_dynamic_x86-nchw-lite")) == "x86"
    assert recipes.engine(Recipe.parse("fx-int8_qnnpack-nhwc-mobile")) == "qnnpack"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fused-int8_qnnpack-nchw-executorch", "its int8 is int8_xnnpack"),
        ("fused-int8_dynamic_x86-nchw-executorch", "its int8 is int8_xnnpack"),
        ("fused-int8_xnnpack-nhwc-mobile", "only in ExecuTorch"),
        ("fused-int8_xnnpack-nchw-eager", "only in ExecuTorch"),
    ],
)
def test_int8_of_one_house_is_refused_in_the_other(text, reason):
    with pytest.raises(CombinationError, match=f"{text} cannot be: .*{reason}"):
        recipes.parse(text)


def test_a_word_is_calibrated_exactly_when_its_pass_takes_calibration():
    for word in recipes.WORDS:
        if word.slot != "backend" and word.file is not None:
            parameters = inspect.signature(word.load().apply).parameters
            assert word.calibrated == ("calibration" in parameters), word


def test_a_word_that_needs_torch_ao_says_so_where_there_is_none(monkeypatch):
    for name in ("torch.ao", "torch.ao.quantization"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "mobileopt.optimizations.quantize_static", raising=False)
    with pytest.raises(CapabilityError, match=r"int8_x86 needs torch\.ao: torch .* has no"):
        recipes.word("precision", "int8_x86").load()


def test_what_compare_suggests_is_what_the_suite_tracks():
    assert {str(recipe) for recipe in recipes.suggested()} == set(_suite.RECIPES)


def test_a_batch_asks_the_tutorials_question():
    found = {str(recipe) for recipe in recipes.suggested(batch=10)}
    assert found == {
        "unfused-float-nchw-eager",
        "fx-float-nchw-eager",
        "unfused-float-nchw-torchscript",
        "fx-float-nchw-torchscript",
    }


def test_models_are_listed_by_the_names_of_their_files():
    assert "mobilenet_v2" in models.names()
    assert not any(name.startswith("_") for name in models.names())
