"""A physical machine, and how it was doing at a moment."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

_PLAIN = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Device:
    """One physical machine by its hardware serial, and what it is.

    `serial` is `ro.serialno`, whatever cable or address leads to it. `abis` are the ABIs it
    runs, best first. `capacities` maps each CPU to its kernel capacity (1024 is the fastest).
    """

    serial: str
    manufacturer: str = ""
    model: str = ""
    codename: str = ""
    soc: str = ""
    android: str = ""
    sdk: int | None = None
    fingerprint: str = ""
    build_type: str = ""
    abis: tuple[str, ...] = ()
    emulator: bool = False
    memory: int | None = None
    capacities: Mapping[int, int] = field(default_factory=dict[int, int])
    parts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A name fit for a folder and a page, one per machine: `pixel_8-3f2a9c01`.

        The model, and a digest of the serial: a serial itself is not for publication.
        """
        model = _PLAIN.sub("_", self.model.lower()).strip("_")[:32] or "phone"
        return f"{model}-{hashlib.sha256(self.serial.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Battery:
    """Charge as a fraction, temperature in degrees Celsius, and whether it is being charged."""

    level: float | None = None
    temperature: float | None = None
    plugged: bool | None = None


@dataclass(frozen=True)
class Cpu:
    """A core's clock: frequencies in hertz; `residency` is seconds spent at each frequency.

    `cluster` is the lowest core that shares this one's clock. `limit` is what the kernel allows
    just now, `top` what the hardware can do.
    """

    index: int
    cluster: int
    governor: str = ""
    current: float | None = None
    floor: float | None = None
    limit: float | None = None
    top: float | None = None
    residency: Mapping[float, float] = field(default_factory=dict[float, float])


@dataclass(frozen=True)
class State:
    """How a device was doing at a moment. None means the device did not say.

    `thermal_status` is Android's, 0 (none) to 6 (shutdown); `temperatures` are in degrees
    Celsius by sensor; `load` is the one-minute average; `uptime` in seconds; `affinity` the
    cores the shell may use; `memory` the bytes available.
    """

    uptime: float | None = None
    thermal_status: int | None = None
    thermal_override: bool = False
    temperatures: Mapping[str, float] = field(default_factory=dict[str, float])
    battery: Battery = field(default_factory=Battery)
    cpus: tuple[Cpu, ...] = ()
    affinity: tuple[int, ...] = ()
    cpuset: str = ""
    load: float | None = None
    memory: int | None = None
    screen_on: bool | None = None
    power_save: bool | None = None

    def as_dict(self) -> dict[str, object]:
        """The fields by name, for a Run's `before` and `after`."""
        return asdict(self)
