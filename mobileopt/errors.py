"""The errors mobileopt raises, each with one sentence a person can act on.

MobileoptError                 exit code 2
|-- InputError                 what the user gave cannot be used
|   |-- UnknownNameError       no such model, recipe, engine, layout or backend
|   |-- CombinationError       each part exists, together they cannot be
|   `-- ConfigurationError     a configuration file is wrong; exit code 3
|-- CapabilityError            this torch, machine or build lacks something
|-- ArtifactError              an artifact or its manifest is missing, damaged or unsafe
|-- OutputError                a folder cannot be written
|-- BuildError                 a build from source failed; names its log
|-- MeasurementError           a run ended without the samples it was asked for
|   `-- ProcessDiedError       the process that ran an artifact ended; names it
|-- StoreError                 the result store refused a read or a write
`-- DeviceError                a device, its transport or a program on it failed
    |-- TransientDeviceError   worth trying again
    |   |-- ServerError        no adb server answers
    |   |-- ConnectionLostError  the phone is offline, or went away in the middle
    |   |-- DeadlineError      no answer in time
    |   |-- TransferError      a file did not arrive as it was sent
    |   `-- NotReadyError      too hot, too busy, too low on charge to measure now
    `-- PermanentDeviceError   will fail again until somebody acts
        |-- AccessError        not authorized, no permission, or the service is refused
        |-- StorageError       no space, read-only, or no such file
        |-- AbiError           a program built for another processor
        `-- ProgramError       a program on the phone said why it failed
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


class ConfigurationError(InputError):
    """A configuration file is missing, not readable, or says something that does not exist."""

    exit_code = 3


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


class ProcessDiedError(MeasurementError):
    """The process that measured ended; `name` is the folder of its artifact or its program's."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the process that ran {name} ended: {reason}")
        self.name, self.reason = name, reason


class StoreError(MobileoptError):
    """The result store refused a read or a write."""


class DeviceError(MobileoptError):
    """A device, its transport or a program on it failed."""


class TransientDeviceError(DeviceError):
    """A fault worth trying again: a lost connection, a rebooting phone."""


class PermanentDeviceError(DeviceError):
    """A fault that stays until somebody acts: no space, wrong ABI, not authorized."""


class ServerError(TransientDeviceError):
    """No adb server answers where one was expected."""


class ConnectionLostError(TransientDeviceError):
    """The phone is offline, or went away in the middle of something."""


class DeadlineError(TransientDeviceError):
    """A phone or a program on it did not finish in time."""


class TransferError(TransientDeviceError):
    """A file did not arrive as it was sent."""


class NotReadyError(TransientDeviceError):
    """The phone is too hot, too busy or too low on charge to be measured now."""


class AccessError(PermanentDeviceError):
    """This computer is not authorized, lacks permission, or the phone refuses the service."""


class StorageError(PermanentDeviceError):
    """The phone has no space, is read-only there, or lacks the file."""


class AbiError(PermanentDeviceError):
    """A program built for a processor the phone does not have."""


class ProgramError(PermanentDeviceError):
    """A program on the phone failed and said why; `fault` names the reason for a machine.

    >>> ProgramError("missing_model", "no such model").fault
    'missing_model'
    """

    def __init__(self, fault: str, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault
