from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mobileopt.android_build.builder import (
    Order,
    Outcome,
    arguments,
    check_binary,
    environment,
    key,
)
from mobileopt.android_build.cache import Cache
from mobileopt.android_build.checkout import REPOSITORY
from mobileopt.android_build.doctor import Environment, Finding
from mobileopt.android_build.options import ABIS, options
from mobileopt.errors import BuildError, InputError

from .test_doctor import CHECKOUT, HOST, NDK, WELL
from .test_elf import write

LOG = Path("/logs/a.log")


def lite(found: Environment) -> str:
    assert found.checkout
    return key(found, found.checkout, "lite").name


def test_the_key_says_what_was_built():
    assert lite(WELL) == "v2.8.0-ba56102387ef_ndk21.1.6352462_arm64-v8a_lite"


@pytest.mark.parametrize(
    "changed",
    [
        replace(WELL, checkout=replace(CHECKOUT, commit="f" * 40)),
        replace(WELL, checkout=replace(CHECKOUT, tag=None)),
        replace(WELL, checkout=replace(CHECKOUT, modified=("a.cpp",))),
        replace(WELL, checkout=replace(CHECKOUT, moved_submodules=("a",))),
        replace(WELL, ndk=replace(NDK, revision="21.4.7075529")),
        replace(WELL, options=options("x86_64")),
        replace(WELL, options=options("arm64-v8a", vulkan=True)),
        replace(WELL, options=options("arm64-v8a", defines=("A=1",))),
    ],
)
def test_whatever_changes_the_binary_changes_the_key(changed):
    assert lite(changed) != lite(WELL)


def test_what_does_not_change_the_binary_does_not_change_the_key():
    other = replace(
        WELL,
        host=replace(HOST, cmake=(3, 31)),
        cache=Path("/elsewhere"),
        options=options("arm64-v8a", "lite", jobs=1),
        checkout=replace(CHECKOUT, path=Path("/elsewhere")),
    )
    assert lite(other) == lite(WELL)


def test_the_arguments_say_flavour_and_vulkan_either_way():
    assert arguments(options("x86", defines=("A=1",)), "full") == (
        "-DBUILD_BINARY=ON",
        "-DBUILD_LITE_INTERPRETER=OFF",
        "-DUSE_VULKAN=OFF",
        "-DCMAKE_INSTALL_PREFIX=install",
        "-DA=1",
    )
    both = arguments(options("x86", vulkan=True), "lite")
    assert both[1:3] == ("-DBUILD_LITE_INTERPRETER=ON", "-DUSE_VULKAN=ON")


def test_the_environment_is_the_recipe_s_and_a_few_of_the_user_s():
    outer = {"PATH": "/bin", "CFLAGS": "-O0", "IFS": "/", "CCACHE_DIR": "/c", "HTTPS_PROXY": "p"}
    found = environment(WELL, "full", outer | {"BASH_ENV": "/x", "BUILD_ROOT": "/y"})
    assert found == {
        "PATH": "/bin",
        "CCACHE_DIR": "/c",
        "HTTPS_PROXY": "p",
        "ANDROID_NDK": "/ndk",
        "ANDROID_ABI": "arm64-v8a",
        "BUILD_LITE_INTERPRETER": "0",
        "BUILD_PYTORCH_MOBILE": "1",
        "BUILD_ROOT": "./build_android",
        "MAX_JOBS": "8",
        "PYTHON": "/usr/bin/python3",
    }


def test_cmake_4_and_vulkan_add_their_variables():
    new = replace(WELL, host=replace(HOST, cmake=(4, 0)), options=options("x86", vulkan=True))
    found = environment(new, "lite", {})
    assert found["CMAKE_POLICY_VERSION_MINIMUM"] == "3.5"
    assert found["USE_VULKAN"] == "1"


@pytest.mark.parametrize(
    ("abi", "machine", "bits", "fits"),
    [
        ("arm64-v8a", 183, 2, True),
        ("armeabi-v7a", 40, 1, True),
        ("arm64-v8a", 62, 2, False),
        ("arm64-v8a", 183, 1, False),
        ("x86", 62, 2, False),
    ],
)
def test_a_binary_must_be_for_the_abi(abi, machine, bits, fits, tmp_path):
    binary = write(tmp_path / "binary", machine, bits=bits)
    if fits:
        assert check_binary(binary, ABIS[abi], LOG) == ABIS[abi].machine
    else:
        with pytest.raises(BuildError, match=r"toolchain was not used; its log is /logs/a\.log"):
            check_binary(binary, ABIS[abi], LOG)


def order(**source: Any) -> Order:
    return Order(options("x86"), Cache(Path("/cache")), {}, Path("/python"), **source)


def test_the_source_is_the_checkout_or_a_clone_in_the_cache():
    assert order().source is None
    assert order(checkout=Path("/pytorch")).source == Path("/pytorch")
    one = order(tag="v2.8.0", repository=REPOSITORY).source
    other = order(tag="v2.8.0", repository="/mirror").source
    assert one is not None
    assert other is not None
    assert one.parent == other.parent == Path("/cache/sources")
    assert one != other


def test_two_sources_are_refused():
    with pytest.raises(InputError, match="both given"):
        order(checkout=Path("/pytorch"), tag="v2.8.0")


def test_an_outcome_is_refused_by_an_error_alone():
    warning = Finding("ninja", "warning", "x", "y")
    assert not Outcome((warning,)).refused
    assert Outcome((warning, replace(warning, severity="error"))).refused
