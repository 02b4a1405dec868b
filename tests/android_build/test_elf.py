from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.android_build import elf
from mobileopt.android_build.options import ABIS

from .upstream import NATIVE


def write(path: Path, machine: int, *, bits: int = 2, order: int = 1, kind: int = 3) -> Path:
    numbers = struct.pack("<HH" if order == 1 else ">HH", kind, machine)
    path.write_bytes(b"\x7fELF" + bytes([bits, order, 1]) + bytes(9) + numbers)
    return path


def test_the_running_interpreter_is_for_this_machine():
    found = elf.read(Path(sys.executable).resolve())
    assert (found.machine, found.bits) == (ABIS[NATIVE].machine, ABIS[NATIVE].bits)


def test_every_abi_has_its_machine_and_width(tmp_path):
    for name, (machine, bits) in {
        "arm64-v8a": (183, 2),
        "armeabi-v7a": (40, 1),
        "x86_64": (62, 2),
        "x86": (3, 1),
    }.items():
        found = elf.read(write(tmp_path / name, machine, bits=bits))
        assert (found.machine, found.bits) == (ABIS[name].machine, ABIS[name].bits)


def test_the_other_byte_order_and_an_unknown_machine_are_read(tmp_path):
    assert elf.read(write(tmp_path / "x", 22, order=2)).machine == "ELF machine 22"


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_an_object_file_is_no_program(tmp_path):
    source = tmp_path / "a.c"
    source.write_text("int nothing;\n")
    subprocess.run(["cc", "-c", source, "-o", tmp_path / "a.o"], check=True)
    with pytest.raises(ValueError, match="not a program"):
        elf.read(tmp_path / "a.o")


@given(st.binary(max_size=40))
def test_any_bytes_are_an_elf_or_a_value_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("elf") / "file"
    path.write_bytes(data)
    try:
        found = elf.read(path)
    except ValueError:
        return
    assert data[:4] == b"\x7fELF"
    assert found.bits in (32, 64)
