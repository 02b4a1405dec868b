"""A session's record as entries of the store: values for asv, everything else beside them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from importlib import metadata
from typing import Any

from mobileopt.collection.exports import Commit
from mobileopt.collection.session import Record, Setting, Subject
from mobileopt.device import Device, State
from mobileopt.errors import CapabilityError, MobileoptError, ProgramError
from mobileopt.store import Benchmark, Entry, Environment
from mobileopt.validity import INVALID, effective_frequencies
from mobileopt.variant import Variant

MEASURED = ("torch", "torchvision")
"""The packages that decide what an artifact is; the same as in asv's environment."""


def versions() -> dict[str, str]:
    """The installed versions of MEASURED; raises CapabilityError for one that is missing."""
    try:
        return {name: metadata.version(name) for name in MEASURED}
    except metadata.PackageNotFoundError as error:
        raise CapabilityError(f"{error.name} is not installed; nothing can be exported") from error


def environment(versions: Mapping[str, str]) -> Environment:
    """What phones' results of artifacts made here are filed under.

    Python and the packages are named as the host's are, so that both lie on the same graphs.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    parts = (f"{name}{version}" for name, version in versions.items())
    return Environment("-".join(("phone", f"py{python}", *parts)), python, dict(versions))


def machine(device: Device) -> dict[str, str]:
    """asv's fields of a phone; the serial is in none of them."""
    memory = f"{round(device.memory / 2**30)} GiB" if device.memory else ""
    return {
        "machine": device.name,
        "os": f"Android {device.android}".strip(),
        "arch": device.abis[0] if device.abis else "",
        "cpu": device.soc or device.codename,
        "num_cpu": str(len(device.capacities) or ""),
        "ram": memory,
    }


class Filing:
    """Makes entries of one commit's runs on one phone."""

    def __init__(
        self, device: Device, commit: Commit, environment: Environment, benchmark: Benchmark
    ) -> None:
        self.device, self.commit = device, commit
        self.environment, self.benchmark = environment, benchmark

    def measured(
        self, record: Record, subject: Subject, started: datetime, setting: Setting
    ) -> Entry:
        """A variant's entry: its samples, or why it has none."""
        context = _context(record, subject, setting)
        failure = record.failures.get(subject.name)
        variant = subject.artifact.variant
        if failure is not None:
            return self.failed(variant, failure, started, context)
        samples = tuple(value for each in record.rounds[subject.name] for value in each)
        validity = record.validity[subject.name]
        if validity.verdict == INVALID:
            reason = "invalid: " + "; ".join(validity.reasons)
            return self._entry(variant, started, context | {"samples": samples}, reason=reason)
        return self._entry(variant, started, context, samples=samples, duration=sum(samples))

    def failed(
        self,
        variant: Variant,
        error: MobileoptError,
        started: datetime,
        context: Mapping[str, Any] | None = None,
    ) -> Entry:
        """The entry of a variant without a result, with the reason by name."""
        told = {"error": named(error), **(context or {}), "device": _described(self.device)}
        return self._entry(variant, started, told, reason=f"{named(error)}: {error}")

    def _entry(
        self, variant: Variant, started: datetime, context: Mapping[str, Any], **outcome: Any
    ) -> Entry:
        return Entry(
            run=f"{started:%Y-%m-%dT%H:%M:%S.%f}-{self.device.name}",
            machine=machine(self.device),
            commit=self.commit.hash,
            date=self.commit.date,
            environment=self.environment,
            benchmark=self.benchmark,
            started_at=started,
            combination=(variant.model, str(variant.recipe)),
            context={"device": _described(self.device), **context},
            **outcome,
        )


def named(error: Exception) -> str:
    """An error's name for a machine: its class, and a program's own fault."""
    name = type(error).__name__
    return f"{name}.{error.fault}" if isinstance(error, ProgramError) else name


def _context(record: Record, subject: Subject, setting: Setting) -> dict[str, Any]:
    name, artifact = subject.name, subject.artifact
    validity = record.validity.get(name)
    formats = [each.memory_format for each in artifact.inputs]
    return {
        "validity": asdict(validity) if validity else None,
        "rounds": [len(each) for each in record.rounds.get(name, [])],
        "baseline": record.baseline,
        "plan": asdict(record.plans[name]) | {"memory_formats": formats},
        "budget": asdict(setting.budget),
        "ended": record.ended,
        "seed": record.seed,
        "fixed_performance": record.fixed,
        "reference": record.reference,
        "before": _condensed(record.before),
        "after": _condensed(record.after),
        "hertz": effective_frequencies(record.before, record.after),
        "program": {
            "runner": subject.program.runner,
            "sha256": subject.program.sha256,
            "lite": subject.program.lite,
        },
        "artifact": {
            "sha256": artifact.sha256,
            "size": artifact.size,
            "engine": artifact.engine,
            "versions": dict(artifact.versions),
        },
    }


def _condensed(state: State) -> dict[str, Any]:
    """A state with one core a cluster; the time at each clock is in the mean one already."""
    told = state.as_dict()
    leaders = {cpu.cluster: asdict(cpu) for cpu in reversed(state.cpus)}
    for each in leaders.values():
        del each["residency"]
    return told | {"cpus": [leaders[cluster] for cluster in sorted(leaders)]}


def _described(device: Device) -> dict[str, Any]:
    """What the phone is, without its serial, which is not for publication."""
    told = asdict(device)
    del told["serial"]
    return told
