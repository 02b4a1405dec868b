from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mobileopt.adb import WORK
from mobileopt.android_build.cache import Cache, Entry, Key
from mobileopt.artifact import digest
from mobileopt.collection.programs import cached, choose, fitting, given
from mobileopt.device import Device
from mobileopt.errors import AbiError, InputError, UnknownNameError

ARM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(44)
ARM_32 = b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x02\x00\x28\x00" + bytes(44)
PC = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(44)
PHONE = Device("S", model="Pixel", abis=("arm64-v8a", "armeabi-v7a"))


def binary(folder: Path, name: str, text: bytes = ARM) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(text)
    return folder / name


def put(cache: Cache, path: Path, flavour: str, abi: str, built: str, **more: Any) -> None:
    key = replace(Key("c" * 40, path.name, False, "21.1", abi, flavour, False, ()), **more)
    size, machine = path.stat().st_size, "AArch64"
    entry = Entry(key, digest(path), size, machine, built, 1.0, "a.log", {}, path.parent)
    cache.put(path, entry)


def test_the_program_of_each_flavour_that_suits_the_device_best_is_found(tmp_path):
    cache = Cache(tmp_path / "cache")
    for name, flavour, abi, built in (
        ("a", "full", "arm64-v8a", "2026-01-01T00:00:00"),
        ("b", "full", "arm64-v8a", "2026-03-01T00:00:00"),
        ("c", "full", "x86_64", "2026-04-01T00:00:00"),
        ("d", "lite", "armeabi-v7a", "2026-02-01T00:00:00"),
        ("e", "full", "armeabi-v7a", "2026-05-01T00:00:00"),
    ):
        put(cache, binary(tmp_path, name, ARM + name.encode()), flavour, abi, built)
    found = cached(cache, PHONE)
    assert [each.path.read_bytes()[-1:] for each in found] == [b"b", b"d"]
    assert [each.lite for each in found] == [False, True]


@pytest.mark.parametrize(
    "odd", [{"modified": True}, {"vulkan": True}, {"defines": ("-DUSE_X=1",)}], ids=str
)
def test_a_plain_program_is_taken_before_a_newer_odd_one(tmp_path, odd):
    cache = Cache(tmp_path / "cache")
    plain, newer = (binary(tmp_path, name, ARM + name.encode()) for name in ("plain", "newer"))
    put(cache, newer, "full", "arm64-v8a", "2026-03-01T00:00:00", **odd)
    (only,) = cached(cache, PHONE)
    assert only.path.read_bytes().endswith(b"newer")
    put(cache, plain, "full", "arm64-v8a", "2026-01-01T00:00:00")
    (found,) = cached(cache, PHONE)
    assert found.path.read_bytes().endswith(b"plain")


def test_newer_is_meant_by_the_clock_and_not_by_the_text(tmp_path):
    cache = Cache(tmp_path / "cache")
    for name, built in (("old", "2026-01-02T01:00:00+05:00"), ("new", "2026-01-01T22:00:00+00:00")):
        put(cache, binary(tmp_path, name, ARM + name.encode()), "full", "arm64-v8a", built)
    assert cached(cache, PHONE)[0].path.read_bytes().endswith(b"new")


def test_a_lite_model_goes_to_the_lite_program_and_any_other_to_the_full_one(tmp_path):
    full = given(str(binary(tmp_path, "speed_benchmark_torch")))
    lite = given(str(binary(tmp_path, "speed_benchmark_torch_lite")))
    assert choose([full, lite], ".ptl") == lite
    assert choose([full, lite], ".pt") == full
    assert choose([full], ".ptl") == full
    assert choose([lite], ".pt") is None


def test_a_runner_is_told_by_the_files_name_or_before_it(tmp_path):
    path = binary(tmp_path, "executor_runner")
    assert given(str(path)).runner == "executor_runner"
    other = binary(tmp_path, "a=b odd $(name)")
    assert given(f"executor_runner={other}").runner == "executor_runner"
    assert given(str(other)).runner == "speed_benchmark_torch"
    with pytest.raises(UnknownNameError):
        given(f"no_runner={other}")


def test_a_programs_name_on_the_phone_is_a_runners_whatever_the_file_is_called(tmp_path):
    program = given(str(binary(tmp_path, "../x; rm -rf $(HOME)".replace("/", "_"))))
    assert program.remote == f"{WORK}/mobileopt/bin/{program.sha256[:16]}/speed_benchmark_torch"


def test_a_program_for_another_processor_is_refused_when_it_is_the_only_one(tmp_path):
    program = given(str(binary(tmp_path, "speed_benchmark_torch")))
    assert fitting([program], PHONE) == (program,)
    with pytest.raises(AbiError, match="built for arm64-v8a; pc-"):
        fitting([program], Device("S", model="pc", abis=("x86_64",)))


def test_of_programs_for_several_processors_each_device_takes_its_own(tmp_path):
    wide = given(str(binary(tmp_path, "speed_benchmark_torch")))
    narrow = given(str(binary(tmp_path, "speed_benchmark_torch_32", ARM_32)))
    pc = given(str(binary(tmp_path, "executor_runner", PC)))
    assert fitting([pc, narrow, wide], PHONE) == (wide, narrow)
    assert fitting([pc, narrow, wide], Device("S", abis=("x86_64",))) == (pc,)
    assert fitting([], PHONE) == ()


def test_a_program_that_went_away_is_one_sentence(tmp_path):
    program = given(str(binary(tmp_path, "speed_benchmark_torch")))
    program.path.unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        fitting([program], PHONE)


def test_a_program_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        given(str(tmp_path / "none"))
