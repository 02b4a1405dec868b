from __future__ import annotations

from importlib import import_module

import pytest

from mobileopt.collection.order import (
    ENGINES_OF_PCS,
    SUFFIXES,
    not_for_phones,
    not_for_programs,
    unfit,
)
from mobileopt.recipes import words
from mobileopt.variant import Recipe
from tests.collection import lab


def test_the_endings_are_those_the_backends_write():
    written = {
        name: import_module(f"mobileopt.backends.{name}").SUFFIX
        for name in words("backend")
        if name != "eager"
    }
    assert written == SUFFIXES


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        ("fused-float-nchw-eager", "eager needs Python"),
        ("fused-int8_x86-nhwc-mobile", "kernels are x86's"),
        ("fused-int8_dynamic_x86-nchw-mobile", "kernels are x86's"),
        ("fused-int8_onednn-nhwc-mobile", "kernels are onednn's"),
        ("fused-int8_qnnpack-nhwc-mobile", ""),
        ("fused-int8_dynamic_qnnpack-nchw-mobile", ""),
        ("fused-int8_xnnpack-nchw-executorch", ""),
        ("unfused-float-nchw-torchscript", ""),
    ],
)
def test_what_no_phone_can_run_is_told_by_its_name(recipe, reason):
    told = not_for_phones(Recipe.parse(recipe))
    assert reason in told
    assert bool(told) == bool(reason)


def test_every_engine_is_either_a_phones_or_a_pcs():
    engines = {word.rpartition("_")[2] for word in words("precision")} - {"float"}
    assert engines - set(ENGINES_OF_PCS) == {"qnnpack", "xnnpack"}


def test_nothing_is_exported_that_no_program_takes(tmp_path):
    found = [lab.program(tmp_path)]
    assert "takes .pte files" in not_for_programs(
        Recipe.parse("fused-float-nhwc-executorch"), found
    )
    assert not_for_programs(Recipe.parse("fused-float-nhwc-lite"), found) == ""
    assert not_for_programs(Recipe.parse("fused-float-nhwc-tomorrows"), found) == ""


def test_an_artifact_of_another_engine_is_unfit(tmp_path):
    program = lab.program(tmp_path)
    assert "phones have qnnpack's" in unfit("x86", ".pt", program)
    assert unfit("qnnpack", ".pt", program) == unfit(None, ".pt", program) == ""
    assert "takes .pte files" in unfit(None, ".pte", None)
