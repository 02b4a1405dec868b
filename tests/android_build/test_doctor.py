"""The doctor is pure: each test makes one thing wrong in an environment that has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.android_build.checkout import Checkout
from mobileopt.android_build.doctor import (
    CHECKS,
    GIB,
    Environment,
    Finding,
    examine,
    jobs,
)
from mobileopt.android_build.host import Host, Python
from mobileopt.android_build.ndk import Ndk
from mobileopt.android_build.options import options
from mobileopt.errors import UnknownNameError

PYTHON = Python(Path("/usr/bin/python3"), (3, 11, 7))
HOST = Host(PYTHON, (3, 27, 1), (1, 11, 1), True, 8, 32 * GIB, 100 * GIB)
NDK = Ndk(Path("/ndk"), "--ndk", True, "21.1.6352462", Path("/ndk/clang"), "clang 9", {}, True)
CHECKOUT = Checkout(
    Path("/pytorch"),
    commit="ba56102387ef21a3b04b357e5b183d48f0afefc7",
    tag="v2.8.0",
    script="#!/bin/bash\n",
    last_tag="v2.8.0",
    cmake_minimum=(3, 27),
)
WELL = Environment(options("arm64-v8a"), NDK, HOST, Path("/cache"), CHECKOUT)


def only(found: Environment) -> Finding:
    findings = examine(found)
    assert len(findings) == 1, findings
    return findings[0]


def with_checkout(**changes: object) -> Environment:
    return replace(WELL, checkout=replace(CHECKOUT, **changes))


def with_ndk(**changes: object) -> Environment:
    return replace(WELL, ndk=replace(NDK, **changes))


def with_host(**changes: object) -> Environment:
    return replace(WELL, host=replace(HOST, **changes))


def with_python(**changes: object) -> Environment:
    return with_host(python=replace(PYTHON, **changes))


def test_nothing_is_found_where_nothing_is_wrong():
    assert examine(WELL) == ()


def test_no_source_is_an_error():
    assert "--checkout DIR" in only(replace(WELL, checkout=None)).fix


def test_a_source_that_is_no_checkout_is_an_error_in_its_own_words():
    found = only(with_checkout(problem="/pytorch is not a folder"))
    assert (found.severity, found.says) == ("error", "/pytorch is not a folder")


def test_a_tag_that_is_not_cloned_yet_is_a_warning():
    found = only(replace(WELL, checkout=None, tag="v2.8.0"))
    assert (found.check, found.severity) == ("checkout", "warning")


@pytest.mark.parametrize("tag", ["v2.9.0", "v2.10.1", "v3.0.0"])
def test_a_tag_from_after_the_removal_is_told_before_it_is_cloned(tag):
    findings = examine(replace(WELL, checkout=None, tag=tag))
    assert [each.check for each in findings] == ["checkout", "script"]
    assert "2025-07-23" in findings[1].says


@pytest.mark.parametrize("last", ["v2.8.1", None])
def test_a_missing_script_names_the_last_tag_that_has_it(last):
    found = only(with_checkout(tag="v2.9.0", script=None, last_tag=last))
    assert (found.check, found.severity) == ("script", "error")
    assert ("is v2.8.1" if last else "v2.8.x should be the last") in found.says
    assert (last or "v2.8.0") in found.fix


def test_a_checkout_without_a_lite_interpreter_can_build_only_the_full_flavour():
    found = only(with_checkout(lite=False))
    assert (found.check, found.severity) == ("lite", "error")
    full = replace(with_checkout(lite=False), options=options("arm64-v8a", "full"))
    assert examine(full) == ()


def test_missing_submodules_are_an_error_that_names_three_and_counts_the_rest():
    found = only(with_checkout(missing_submodules=("a", "b", "c", "d", "e")))
    assert "a, b, c and 2 more" in found.says
    assert found.fix == "git submodule update --init --recursive"


def test_moved_submodules_are_a_warning():
    assert only(with_checkout(moved_submodules=("a",))).severity == "warning"


def test_modified_files_are_a_warning():
    assert only(with_checkout(modified=("a.cpp",))).check == "modified"


@pytest.mark.parametrize(
    ("ndk", "words"),
    [
        (Ndk(), "no Android NDK is named"),
        (Ndk(Path("/x"), "ANDROID_NDK"), "/x (ANDROID_NDK) is not a folder"),
        (Ndk(Path("/x"), "--ndk", True), "has no toolchains"),
    ],
)
def test_an_ndk_that_is_none_is_an_error(ndk, words):
    found = only(replace(WELL, ndk=ndk))
    assert (found.check, found.severity) == ("ndk", "error")
    assert words in found.says


@pytest.mark.parametrize(
    ("revision", "severity"),
    [
        ("21.4.7075529", None),
        ("19.2.5345600", "warning"),
        ("22.1.7171670", "warning"),
        ("23.1.7779620", "warning"),
        (None, "error"),
    ],
)
def test_the_version_of_the_ndk_is_judged(revision, severity):
    findings = examine(with_ndk(revision=revision))
    assert [each.severity for each in findings] == ([severity] if severity else [])


def test_an_ndk_without_the_vulkan_wrapper_cannot_build_vulkan_and_can_build_the_rest():
    new = with_ndk(vulkan=False)
    assert examine(new) == ()
    found = only(replace(new, options=options("arm64-v8a", vulkan=True)))
    assert (found.check, found.severity) == ("ndk-vulkan", "error")
    assert "vulkan_wrapper.h" in found.says
    assert examine(replace(WELL, options=options("arm64-v8a", vulkan=True))) == ()


def test_a_checkout_without_the_program_is_an_error():
    assert only(with_checkout(benchmark=False)).check == "benchmark"


def test_a_rejected_feature_is_an_error_only_where_the_checkout_compiles_for_it():
    old = with_ndk(rejected={"i8mm": "error: no i8mm", "bf16": "error: no bf16"})
    assert examine(old) == ()
    needs = replace(old, checkout=replace(CHECKOUT, features=frozenset({"i8mm"})))
    found = only(needs)
    assert (found.check, found.severity) == ("ndk-march", "error")
    assert "-march=armv8.2-a+i8mm: error: no i8mm" in found.says
    assert "XNNPACK_ENABLE_ARM_I8MM=OFF" in found.fix


def test_a_rejected_feature_is_a_warning_while_the_source_is_unseen():
    old = replace(with_ndk(rejected={"i8mm": "no"}), checkout=None, tag="v2.8.0")
    assert [(each.check, each.severity) for each in examine(old)] == [
        ("checkout", "warning"),
        ("ndk-march", "warning"),
    ]


@pytest.mark.parametrize(
    ("cmake", "severity", "words"),
    [
        ((), "error", "not on PATH"),
        ((3, 25, 1), "error", "is 3.25.1, this checkout asks for 3.27"),
        ((4, 0, 2), "warning", "CMAKE_POLICY_VERSION_MINIMUM=3.5 is set"),
    ],
)
def test_the_version_of_cmake_is_judged(cmake, severity, words):
    found = only(with_host(cmake=cmake))
    assert found.severity == severity
    assert words in found.says


def test_without_ninja_make_will_do():
    assert only(with_host(ninja=())).severity == "warning"
    assert only(with_host(ninja=(), make=False)).severity == "error"


def test_a_python_that_does_not_run_is_an_error():
    assert "cannot be run" in only(with_python(version=())).says


def test_missing_packages_are_an_error_with_the_pip_line():
    found = only(with_python(missing=("pyyaml", "numpy")))
    assert found.fix == "/usr/bin/python3 -m pip install pyyaml numpy"


@pytest.mark.parametrize(
    ("version", "distutils", "script", "severity"),
    [
        ((3, 11, 7), True, "distutils", None),
        ((3, 12, 1), False, "sysconfig", None),
        ((3, 12, 1), False, "from distutils.sysconfig", "error"),
        ((3, 13, 0), True, "from distutils.sysconfig", "warning"),
    ],
)
def test_a_script_that_needs_distutils_needs_an_older_python(version, distutils, script, severity):
    found = replace(
        with_python(version=version, distutils=distutils),
        checkout=replace(CHECKOUT, script=script),
    )
    assert [each.severity for each in examine(found)] == ([severity] if severity else [])


def test_a_blank_is_an_error_in_the_path_of_python_and_a_warning_elsewhere():
    assert only(with_python(path=Path("/my python"))).severity == "error"
    assert only(with_checkout(path=Path("/my pytorch"))).severity == "warning"
    assert only(with_ndk(path=Path("/my ndk"))).severity == "warning"


@pytest.mark.parametrize(
    ("free", "severity"), [(20 * GIB, None), (3 * GIB, "warning"), (GIB // 2, "error")]
)
def test_the_disk_is_judged(free, severity):
    findings = examine(with_host(disk=free))
    assert [each.severity for each in findings] == ([severity] if severity else [])


def test_a_clone_needs_more_disk_than_a_checkout():
    room = with_host(disk=8 * GIB)
    assert examine(room) == ()
    unseen = examine(replace(room, checkout=None, tag="v2.8.0"))
    assert "disk" in [each.check for each in unseen]


def test_unknown_disk_and_memory_are_not_judged():
    assert examine(with_host(disk=None, memory=None)) == ()


def test_fewer_jobs_than_cpus_are_told_and_too_many_are_warned_of():
    small = with_host(memory=5 * GIB)
    assert "enough for 2 compile jobs" in only(small).says
    asked = replace(small, options=options("arm64-v8a", jobs=8))
    assert "8 compile jobs may take 16 GiB" in only(asked).says


def test_errors_come_first():
    findings = examine(replace(with_ndk(revision="25.0.1"), host=replace(HOST, cmake=())))
    assert [each.severity for each in findings] == ["error", "warning"]


def test_an_ignored_error_is_a_warning():
    found = with_host(cmake=())
    assert [each.severity for each in examine(found, ["cmake"])] == ["warning"]
    with pytest.raises(UnknownNameError, match="did you mean 'cmake'"):
        examine(found, ["cmaek"])


@given(
    cpus=st.integers(1, 256),
    memory=st.none() | st.integers(0, 2**42),
    asked=st.none() | st.integers(1, 999),
)
def test_there_is_always_a_job_and_never_more_than_cpus_unless_asked(cpus, memory, asked):
    count = jobs(options("x86", jobs=asked), replace(HOST, cpus=cpus, memory=memory))
    assert count == asked if asked else 1 <= count <= cpus


def test_every_finding_is_of_a_known_check_and_reads_as_a_sentence_and_a_fix():
    bad = Environment(
        options("arm64-v8a"),
        Ndk(),
        Host(Python(Path("/no python")), disk=0, memory=0),
        Path("/my cache"),
        replace(CHECKOUT, script=None, lite=False, missing_submodules=("a",), modified=("b",)),
    )
    findings = examine(bad)
    assert len(findings) >= 10
    for each in findings:
        assert each.check in CHECKS
        assert "\n" not in str(each)
        assert each.fix
        assert not each.says.endswith(".")
