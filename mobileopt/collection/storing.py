"""A session's record as entries of the store: values for asv, everything else beside them."""

from __future__ import annotations

import platform
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from mobileopt.clocks import effective_frequencies
from mobileopt.collection.course import Setting
from mobileopt.collection.exports import Commit
from mobileopt.collection.record import Record, Subject, Verdict
from mobileopt.device import Device, State
from mobileopt.errors import CapabilityError, MobileoptError, ProgramError
from mobileopt.store import Benchmark, Entry, Environment
from mobileopt.validity import INVALID, SUSPECT
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
        self,
        record: Record,
        subject: Subject,
        started: datetime,
        setting: Setting,
        *,
        believed: bool = False,
    ) -> Entry:
        """A variant's entry: its samples, or why it has none.

        Invalid samples are no result, and suspect ones are none where there is a `believed`
        value, which they would replace; both are kept beside the result.
        """
        context = _context(record, subject, setting)
        failure = record.failures.get(subject.name)
        variant = subject.artifact.variant
        if failure is not None:
            return self.failed(variant, failure, started, context)
        samples = tuple(value for each in record.rounds[subject.name] for value in each)
        validity = record.validity[subject.name]
        if validity.verdict == INVALID or (believed and validity.verdict == SUSPECT):
            reason = f"{validity.verdict}: " + "; ".join(validity.reasons)
            return self._entry(variant, started, context | {"samples": samples}, reason=reason)
        return self._entry(variant, started, context, samples=samples, duration=sum(samples))

    def failed(
        self,
        variant: Variant,
        error: Exception,
        started: datetime,
        context: Mapping[str, Any] | None = None,
    ) -> Entry:
        """The entry of a variant without a result, with the reason by name."""
        told = {"error": named(error), **(context or {}), "device": _described(self.device)}
        return self._entry(variant, started, told, reason=f"{named(error)}: {sentence(error)}")

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


def sentence(error: Exception) -> str:
    """What an error says; of one nobody has foreseen also where it came up."""
    if isinstance(error, MobileoptError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"an error nobody has foreseen{where}: {error!r}"


def _context(record: Record, subject: Subject, setting: Setting) -> dict[str, Any]:
    name, artifact = subject.name, subject.artifact
    verdict = record.verdicts.get(name)
    formats = [each.memory_format for each in artifact.inputs]
    return {
        "validity": asdict(verdict.validity) if verdict else None,
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
        **(_placed(verdict) if verdict else {}),
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


def _placed(verdict: Verdict) -> dict[str, Any]:
    """Where a variant's programs ran, and how fast: by cluster, seconds at each clock in hertz."""
    return {
        "affinity": verdict.affinity,
        "hertz": effective_frequencies(verdict.residency),
        "residency": {
            cluster: {f"{hertz:.0f}": round(seconds, 2) for hertz, seconds in spent.items()}
            for cluster, spent in verdict.residency.items()
        },
    }


def _condensed(state: State) -> dict[str, Any]:
    """A state with one core a cluster; the time at each clock is told by variant."""
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
