"""The program that runs an artifact on a phone: found for its ABI, chosen by the file's ending."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mobileopt import runners
from mobileopt.adb import WORK, probe
from mobileopt.android_build.cache import BINARY, Cache, Entry
from mobileopt.artifact import digest
from mobileopt.device import Device
from mobileopt.errors import AbiError, InputError
from mobileopt.phone_texts import abi_of

DEFAULT_RUNNER = BINARY
LITE = "_lite"


@dataclass(frozen=True)
class Program:
    """A runner's program on this computer. One of the lite interpreter takes only `.ptl`."""

    runner: str
    path: Path
    sha256: str
    lite: bool = False

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of the artifact files it takes."""
        return (".ptl",) if self.lite else runners.load(self.runner).SUFFIXES

    @property
    def remote(self) -> str:
        """Where it lies on a phone: by its content, and under no name but a runner's."""
        name = self.runner + (LITE if self.lite else "")
        return f"{WORK}/mobileopt/bin/{self.sha256[:16]}/{name}"


def given(text: str) -> Program:
    """A program from ``[RUNNER=]PATH``; the runner is else told by the file's name.

    Raises InputError for a file that cannot be read and UnknownNameError for no runner's name.
    """
    name, equals, rest = text.partition("=")
    named = bool(equals) and name.isidentifier()
    path = Path(rest if named else text)
    if named:
        runners.load(name)
    known = (each for each in runners.names() if path.name.startswith(each))
    runner = name if named else next(known, DEFAULT_RUNNER)
    return _program(runner, path, "lite" in path.name)


def cached(cache: Cache, device: Device) -> tuple[Program, ...]:
    """The full and the lite program of the cache that suit the device best.

    The device's best ABI comes first, then sources nobody changed, then the plainest build, then
    the newest: what is measured follows the phone, not whatever was built last.
    """
    found: dict[str, Entry] = {}
    for _, entry in cache.entries():
        if isinstance(entry, Entry) and entry.key.abi in device.abis:
            rival = found.get(entry.key.flavour)
            if rival is None or _rank(entry, device) < _rank(rival, device):
                found[entry.key.flavour] = entry
    return tuple(
        Program(DEFAULT_RUNNER, each.path, each.sha256, flavour == "lite")
        for flavour, each in sorted(found.items())
    )


def choose(programs: Iterable[Program], suffix: str) -> Program | None:
    """The program for a file's ending, the most special one first; None when none takes it."""
    fitting = [each for each in programs if suffix in each.suffixes]
    return min(fitting, key=lambda each: len(each.suffixes), default=None)


def fitting(programs: Iterable[Program], device: Device) -> tuple[Program, ...]:
    """The programs the device can run, its best ABI first; asked before anything is pushed.

    A script has no ABI and runs everywhere. Raises AbiError when there are programs and none
    fits, with the first one's reason, and InputError for a file that is gone.
    """
    found: list[tuple[int, Program]] = []
    refused: list[AbiError] = []
    for each in programs:
        header = _header(each.path)
        try:
            probe.require_abi(device, each.path.name, header)
            abi = abi_of(header)
            found.append((device.abis.index(abi) if abi else 0, each))
        except AbiError as error:
            refused.append(error)
    if refused and not found:
        raise refused[0]
    return tuple(each for _, each in sorted(found, key=lambda ranked: ranked[0]))


def known(programs: Sequence[Program]) -> set[str]:
    """All endings that some program takes."""
    return {suffix for each in programs for suffix in each.suffixes}


def _rank(entry: Entry, device: Device) -> tuple[int, bool, bool, bool, float]:
    """Least for the program that suits best."""
    key, built = entry.key, datetime.fromisoformat(entry.built)
    # a manifest without a zone is in UTC, as they all are
    age = -built.replace(tzinfo=built.tzinfo or UTC).timestamp()
    return device.abis.index(key.abi), key.modified, key.vulkan, bool(key.defines), age


def _header(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(20)
    except OSError as error:
        raise _unreadable(path, error) from error


def _program(runner: str, path: Path, lite: bool) -> Program:
    try:
        return Program(runner, path, digest(path), lite)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"the program {str(path)!r} cannot be read: {error.strerror}")
