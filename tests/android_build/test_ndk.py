from __future__ import annotations

import os
from pathlib import Path

import pytest

from mobileopt.android_build.ndk import describe, locate
from mobileopt.android_build.options import ABIS

from .upstream import make_ndk

ARM = ABIS["arm64-v8a"]


def test_an_ndk_is_read_and_its_clang_tried(tmp_path):
    ndk = describe(make_ndk(tmp_path / "an ndk", rejects="i8mm"), ARM, os.environ)
    assert (ndk.revision, ndk.major) == ("21.4.7075529", 21)
    assert ndk.clang_version == "Android (7019983) clang version 9.0.9"
    assert ndk.vulkan
    assert set(ndk.rejected or {}) == {"i8mm"}
    assert "does not support '-march=armv8.2-a+i8mm'" in (ndk.rejected or {})["i8mm"]


def test_the_arm_flags_are_not_tried_for_another_abi(tmp_path):
    ndk = describe(make_ndk(tmp_path, rejects="i8mm"), ABIS["x86_64"], os.environ)
    assert ndk.rejected == {}


def test_a_clang_that_does_not_start_rejects_all(tmp_path):
    clang = next(make_ndk(tmp_path).glob("toolchains/llvm/prebuilt/*/bin/clang"))
    clang.write_text("#!/nowhere\n")
    assert set(describe(tmp_path, ARM, os.environ).rejected or {}) == {"i8mm", "bf16"}


def test_the_option_comes_before_the_variables_and_they_in_order():
    environ = {"ANDROID_NDK_ROOT": "/c", "ANDROID_NDK_HOME": "/b"}
    assert locate(Path("/a"), environ) == (Path("/a"), "--ndk")
    assert locate(None, environ) == (Path("/b"), "ANDROID_NDK_HOME")
    assert locate(None, environ | {"ANDROID_NDK": ""}) == (Path("/b"), "ANDROID_NDK_HOME")
    assert locate(None, {}) == (None, "")


def test_a_folder_that_is_not_there_is_kept_by_name(tmp_path):
    ndk = describe(tmp_path / "x", ARM, os.environ)
    assert (ndk.path, ndk.exists, ndk.major) == (tmp_path / "x", False, 0)


@pytest.mark.parametrize("revision", ["../../etc", "21.4 7", "", "21/4"])
def test_a_revision_that_is_no_version_is_none(revision, tmp_path):
    assert describe(make_ndk(tmp_path, revision), ARM, os.environ).revision is None


def test_a_folder_without_the_parts_of_an_ndk_has_none(tmp_path):
    ndk = describe(tmp_path, ARM, os.environ)
    assert (ndk.exists, ndk.revision, ndk.clang, ndk.rejected) == (True, None, None, {})
