from __future__ import annotations

import pytest

from mobileopt.android_build.options import options
from mobileopt.errors import InputError, UnknownNameError


def test_both_flavours_are_full_and_lite():
    assert options("arm64-v8a").flavours == ("full", "lite")
    assert options("arm64-v8a", "lite").flavours == ("lite",)


def test_the_order_of_defines_does_not_matter():
    assert options("x86", defines=("B=1", "A=2")) == options("x86", defines=("A=2", "B=1"))


def test_32_bit_arm_is_asked_for_in_the_script_s_own_words():
    assert options("armeabi-v7a").abi.android == "armeabi-v7a with NEON"


@pytest.mark.parametrize("define", ["", "A", "A=b c", "A=*", "A=$(x)", "1A=2", "A='x'", "A=b\n"])
def test_a_define_the_script_would_split_or_expand_is_refused(define):
    with pytest.raises(InputError, match="is not NAME=VALUE"):
        options("x86", defines=(define,))


@pytest.mark.parametrize("name", ["BUILD_LITE_INTERPRETER", "ANDROID_ABI", "USE_VULKAN"])
def test_a_define_that_an_option_sets_is_refused(name):
    with pytest.raises(InputError, match="cannot be given"):
        options("x86", defines=(f"{name}=ON",))


def test_a_define_given_twice_is_refused():
    with pytest.raises(InputError, match="more than once"):
        options("x86", defines=("A=1", "A=2"))


def test_unknown_words_are_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="Known: arm64-v8a, armeabi-v7a"):
        options("arm64")
    with pytest.raises(UnknownNameError, match="Known: full, lite, both"):
        options("x86", "none")
