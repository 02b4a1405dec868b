from __future__ import annotations

from pathlib import Path

import pytest

from mobileopt.adb import WORK
from mobileopt.android_build.cache import Cache, Entry, Key
from mobileopt.artifact import digest
from mobileopt.collection import programs
from mobileopt.collection.programs import cached, choose, given
from mobileopt.device import Device
from mobileopt.errors import AbiError, InputError, UnknownNameError

ARM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(44)
PHONE = Device("S", model="Pixel", abis=("arm64-v8a", "armeabi-v7a"))


def binary(folder: Path, name: str, text: bytes = ARM) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(text)
    return folder / name


def put(cache: Cache, path: Path, flavour: str, abi: str, built: str) -> None:
    key = Key("c" * 40, built, False, "21.1", abi, flavour, False, ())
    size, machine = path.stat().st_size, "AArch64"
    entry = Entry(key, digest(path), size, machine, built, 1.0, "a.log", {}, path.parent)
    cache.put(path, entry)


def test_the_newest_program_of_each_flavour_that_the_device_can_run_is_found(tmp_path):
    cache = Cache(tmp_path / "cache")
    for name, flavour, abi, built in (
        ("a", "full", "arm64-v8a", "2026-01-01T00:00:00"),
        ("b", "full", "arm64-v8a", "2026-03-01T00:00:00"),
        ("c", "full", "x86_64", "2026-04-01T00:00:00"),
        ("d", "lite", "armeabi-v7a", "2026-02-01T00:00:00"),
    ):
        put(cache, binary(tmp_path, name, ARM + name.encode()), flavour, abi, built)
    found = cached(cache, PHONE)
    assert [each.path.read_bytes()[-1:] for each in found] == [b"b", b"d"]
    assert [each.lite for each in found] == [False, True]


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


def test_a_program_for_another_processor_is_refused(tmp_path):
    program = given(str(binary(tmp_path, "speed_benchmark_torch")))
    programs.check(program, PHONE)
    with pytest.raises(AbiError, match="built for arm64-v8a; pc-"):
        programs.check(program, Device("S", model="pc", abis=("x86_64",)))


def test_a_program_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        given(str(tmp_path / "none"))
