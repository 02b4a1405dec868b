"""What a night asks of a machine, one job at a time a machine, and how the jobs are driven.

A job and its outcome are plain values that a process on another computer understands, and a job
done twice changes nothing more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, cast

Kind = Literal["measure", "compare"]
Fault = Literal["", "commit", "machine", "busy", "time"]
"""Whose failure it was; a machine that is `busy` is in use, too hot or too low on charge."""


@dataclass(frozen=True)
class Machine:
    """Where jobs run: its folder in the store, and a phone's hardware serial, empty for a host."""

    name: str
    serial: str = ""

    @property
    def is_phone(self) -> bool:
        """Whether it is a phone."""
        return bool(self.serial)

    @property
    def resource(self) -> str:
        """What a worker of a fleet declares to have it: ``device:R58M`` or ``host:lab-1``."""
        return f"device:{self.serial}" if self.serial else f"host:{self.name}"


@dataclass(frozen=True)
class Job:
    """Measure a commit, or compare `commit` with `good` in one session.

    `metric` and `variant` say what is compared, `alpha` at which error rate and `attempt`
    draws another order when it is tried again. `seconds` bounds the job.
    """

    kind: Kind
    machine: Machine
    commit: str
    good: str = ""
    metric: str = ""
    variant: str = ""
    alpha: float = 0.01
    attempt: int = 0
    seconds: float | None = None

    @property
    def id(self) -> str:
        """The same for the same work, in any process: the key of its result."""
        fields = asdict(self)
        del fields["seconds"], fields["alpha"]
        text = json.dumps(fields, sort_keys=True)
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `fault` says whose failure it was, `reason` why in one sentence, and
    `lasting` that the same would happen again.

    `found` is what a comparison found, see `mobileopt.nightly.judgement`. `files` are the result
    files of a machine that keeps a store of its own, by path below the results folder.
    """

    job: Job
    fault: Fault = ""
    reason: str = ""
    lasting: bool = False
    seconds: float = 0.0
    found: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return not self.fault


Lane = Generator[Job, Outcome, None]
"""A machine's work: it gives a job, is sent its outcome, and gives the next."""

Submit = Callable[[Job], "Future[Outcome]"]


class Lab(Protocol):
    """What machines there are and how a job gets to one of them."""

    def machines(self) -> list[Machine]:
        """The machines that can be used now."""
        ...

    def absent(self) -> dict[str, str]:
        """Phones that are asked for and cannot be used, by serial, each with the reason.

        Asked after `machines`.
        """
        ...

    def together(self, machines: Sequence[Machine]) -> list[list[Machine]]:
        """Groups of machines that may work at the same time without disturbing each other."""
        ...

    def submit(self, job: Job) -> Future[Outcome]:
        """Start a job; the future never raises but for a mistake in the code."""
        ...


def drive(lanes: Mapping[Machine, Lane], submit: Submit) -> None:
    """Run every machine's lane to its end, one job at a time a machine, machines side by side.

    All lanes run in the caller's thread; only jobs run elsewhere.
    """
    running: dict[Future[Outcome], Machine] = {}

    def advance(machine: Machine, outcome: Outcome | None) -> None:
        try:
            # A generator's first send is of None.
            job = lanes[machine].send(cast(Outcome, outcome))
        except StopIteration:
            return
        running[submit(job)] = machine

    for machine in lanes:
        advance(machine, None)
    while running:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            advance(running.pop(future), future.result())
