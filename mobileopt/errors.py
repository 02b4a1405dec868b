"""The errors mobileopt raises, each with one sentence a person can act on.

MobileoptError                 exit code 2
|-- InputError                 what the user gave cannot be used
|   |-- UnknownNameError       no such model, recipe, engine, layout or backend
|   `-- CombinationError       each part exists, together they cannot be
|-- CapabilityError            this torch, machine or build lacks something
|-- ArtifactError              an artifact or its manifest is missing, damaged or unsafe
|-- OutputError                a folder cannot be written
|-- BuildError                 a build from source failed; names its log
|-- MeasurementError           a run ended without the samples it was asked for
|-- StoreError                 the result store refused a read or a write
`-- DeviceError                a device, its transport or a program on it failed
    |-- TransientDeviceError   worth trying again
    `-- PermanentDeviceError   will fail again until somebody acts
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MobileoptError(Exception):
    """Base of all errors that are somebody's to act on; `str()` is one sentence."""

    exit_code = 2


class InputError(MobileoptError):
    """What the user gave cannot be used."""


class UnknownNameError(InputError):
    """A name that does not exist; lists the ones that do and the nearest.

    >>> str(UnknownNameError("layout", "nchv", ["nchw", "nhwc"]))
    "unknown layout 'nchv', did you mean 'nchw'? Known: nchw, nhwc"
    """

    def __init__(self, what: str, found: str, allowed: Iterable[str]) -> None:
        names = list(allowed)
        near = get_close_matches(found, names, n=1)
        hint = f", did you mean {near[0]!r}?" if near else "."
        super().__init__(f"unknown {what} {found!r}{hint} Known: {', '.join(names)}")


class CombinationError(InputError):
    """Each part exists, together they cannot be."""


class CapabilityError(MobileoptError):
    """This torch, machine or build lacks something the work needs."""


class ArtifactError(MobileoptError):
    """An artifact or its manifest is missing, damaged or unsafe."""


class OutputError(MobileoptError):
    """A folder or file cannot be written."""


class BuildError(MobileoptError):
    """A build from source failed or gave something else than was asked for."""


class MeasurementError(MobileoptError):
    """A run ended without the samples it was asked for."""


class StoreError(MobileoptError):
    """The result store refused a read or a write."""


class DeviceError(MobileoptError):
    """A device, its transport or a program on it failed."""


class TransientDeviceError(DeviceError):
    """A fault worth trying again: a lost connection, a rebooting phone."""


class PermanentDeviceError(DeviceError):
    """A fault that stays until somebody acts: no space, wrong ABI, not authorized."""
