"""Which machine a program was compiled for, from the first bytes of the file.

System V ABI, "ELF header": https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

MACHINES = {3: "x86", 40: "ARM", 62: "x86-64", 183: "AArch64"}
_EXECUTABLE, _SHARED = 2, 3


@dataclass(frozen=True)
class Elf:
    """A program's machine by name and the width of its addresses in bits."""

    machine: str
    bits: int


def read(path: Path) -> Elf:
    """The header of an executable, position-independent or not.

    Raises ValueError, with what was found, when the file is no ELF program.
    """
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        raise ValueError("is not an ELF file")
    order = {1: "<", 2: ">"}.get(head[5])
    bits = {1: 32, 2: 64}.get(head[4])
    if order is None or bits is None:
        raise ValueError("has an ELF header of no known class or byte order")
    kind, machine = struct.unpack(f"{order}HH", head[16:20])
    if kind not in (_EXECUTABLE, _SHARED):
        raise ValueError(f"is an ELF file of type {kind}, not a program")
    return Elf(MACHINES.get(machine, f"ELF machine {machine}"), bits)
