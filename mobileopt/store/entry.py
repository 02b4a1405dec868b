"""What is put into the store: one parameter combination of one benchmark, measured or failed."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mobileopt.errors import StoreError
from mobileopt.store import documents, names
from mobileopt.store.documents import Json

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Environment:
    """What a result was made with. Each requirement becomes an axis of asv's graphs, as asv's
    own do: put into `requirements` what should start a new graph, all else into the context."""

    name: str
    python: str = ""
    requirements: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        names.check_environment(self.name)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as asv knows it. `params` are literal and only ever appended to: one tuple
    an axis, `param_names` beside. Raises StoreError for a name or a shape asv cannot store."""

    name: str
    version: str
    unit: str = "seconds"
    params: tuple[tuple[Value, ...], ...] = ()
    param_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names.check_benchmark(self.name)
        if not self.version:
            raise StoreError(f"benchmark {self.name} has no version; results could mix unseen")
        if len(self.params) != len(self.param_names):
            raise StoreError(
                f"benchmark {self.name} has {len(self.params)} axes of parameters and "
                f"{len(self.param_names)} names for them"
            )
        for name, axis in zip(self.param_names, self.params, strict=True):
            if not axis or len(set(map(repr, axis))) != len(axis):
                raise StoreError(f"parameter {name} of {self.name} is empty or repeats a value")

    @property
    def axes(self) -> documents.Axes:
        """The parameters as asv writes them: by their `repr`."""
        return tuple(tuple(map(repr, axis)) for axis in self.params)

    def to_asv(self) -> Json:
        """Its entry in `benchmarks.json`."""
        return {
            "name": self.name,
            "version": self.version,
            "unit": self.unit,
            "params": [list(axis) for axis in self.axes],
            "param_names": list(self.param_names),
            "type": "track",
            "code": "",
            "timeout": 0,
        }


@dataclass(frozen=True)
class Entry:
    """One run of one combination of a benchmark's parameters on one machine at one commit.

    `run` names the run it came from: the same run stored twice is stored once. `machine` holds
    asv's fields (`machine` is its name; `os`, `arch`, `cpu`, `num_cpu`, `ram`), kept as first
    written. `date` is the commit's, `started_at` the run's, both aware of their time zone.
    `samples` are seconds (the benchmark's unit) a call, each over `number` calls, in the order
    taken; a failure has none and says its `reason`. `context` is any JSON: state, validity,
    versions.

    Raises StoreError when a name would leave its folder, the commit is abbreviated, a sample
    is not finite or the combination is not one of the benchmark's.
    """

    run: str
    machine: Mapping[str, str]
    commit: str
    date: datetime
    environment: Environment
    benchmark: Benchmark
    started_at: datetime
    combination: tuple[Value, ...] = ()
    samples: tuple[float, ...] = ()
    number: int = 1
    duration: float | None = None
    reason: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        names.check_machine(self.machine.get("machine", ""))
        names.check_commit(self.commit)
        self._check_times()
        self._check_combination()
        if bool(self.samples) == (self.reason is not None):
            raise StoreError(f"run {self.run!r} needs either samples or the reason it has none")
        bad = [value for value in self.samples if not math.isfinite(value)]
        if bad or self.number < 1 or not self.run:
            raise StoreError(
                f"run {self.run!r} has {len(bad)} samples that are not finite and is over "
                f"{self.number} calls; it needs a name, finite samples and at least 1 call"
            )

    def _check_times(self) -> None:
        for what, when in (("date", self.date), ("started_at", self.started_at)):
            if when.tzinfo is None:
                raise StoreError(f"{what} {when} of run {self.run!r} lacks a time zone")

    def _check_combination(self) -> None:
        axes = self.benchmark.axes
        if len(axes) != len(self.combination):
            raise StoreError(
                f"{self.benchmark.name} has {len(axes)} parameters, "
                f"{len(self.combination)} values were given"
            )
        pairs = zip(self.key, axes, self.benchmark.param_names, strict=True)
        for value, axis, name in pairs:
            if value not in axis:
                raise StoreError(
                    f"{name} {value} is none of {self.benchmark.name}'s: {', '.join(axis)}"
                )

    @property
    def key(self) -> documents.Combination:
        """The combination as asv writes it."""
        return tuple(map(repr, self.combination))

    def to_record(self) -> Json:
        """Its line in the side-car."""
        return {
            "kind": "run",
            "run": self.run,
            "benchmark": self.benchmark.name,
            "version": self.benchmark.version,
            "combination": list(self.key),
            "started_at": milliseconds(self.started_at),
            "reason": self.reason,
            "context": dict(self.context),
        }


def natural(value: str) -> Value:
    """A parameter's value from what asv wrote for it; text that is no literal stays as it is."""
    try:
        parsed: Any = ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return value
    return parsed if isinstance(parsed, str | int | float | bool | None) else value


def milliseconds(when: datetime) -> int:
    """Milliseconds since 1970, asv's unit for both dates and starts."""
    return int(when.timestamp() * 1000)
