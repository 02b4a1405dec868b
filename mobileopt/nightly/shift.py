"""What all parts of one night share: its machines, its time, its memory and its voice."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mobileopt.nightly.budget import Budget
from mobileopt.nightly.config import Config
from mobileopt.nightly.jobs import Job, Lab, Outcome
from mobileopt.nightly.ledger import Ledger
from mobileopt.nightly.quarantine import Quarantine
from mobileopt.store import Store
from mobileopt.store.names import check_machine


@dataclass
class Shift:
    """One night. `order` are the branch's commits, oldest first; `clock` gives seconds since 1970.

    `left` is what there was no time or no machine for, `warnings` what a reader should know,
    `measured` the machine and commit of each finished measurement, `missing` the serials of
    phones that are not here. `begun` of `planned` measurements are on their way or done.
    """

    config: Config
    order: tuple[str, ...]
    store: Store
    lab: Lab
    ledger: Ledger
    quarantine: Quarantine
    budget: Budget
    now: Callable[[], float]
    say: Callable[[str], None]
    left: list[str] = field(default_factory=list[str])
    warnings: list[str] = field(default_factory=list[str])
    measured: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    missing: list[str] = field(default_factory=list[str])
    planned: int = 0
    begun: int = 0

    def seconds_left(self) -> float | None:
        """Until the end of the night; None for no end."""
        return self.budget.left(self.now())

    def refusal(self, job: Job, *, measuring: bool = False) -> str:
        """Why a job may not start now; empty when it may."""
        if job.machine.is_phone and self.quarantine.is_out(job.machine.serial, self.now()):
            return f"{job.machine.name} is in quarantine"
        if not self.budget.fits(self.now(), self._usual(job), measuring=measuring):
            return "no time was left"
        return ""

    def in_quarantine(self, serial: str, name: str) -> bool:
        """Whether a phone is to be left alone; says so, with the reason."""
        if not serial or not self.quarantine.is_out(serial, self.now()):
            return False
        reason = self.quarantine.standings()[serial].reason
        self.warn(f"{name} is in quarantine: {reason}")
        return True

    def keep(self, outcome: Outcome) -> None:
        """Put an outcome's results into the store and into the ledger, and count phones' faults."""
        job, machine = outcome.job, outcome.job.machine
        self._merge(outcome)
        self.ledger.add(
            "took", job=job.id, machine=machine.name, what=job.kind, commit=job.commit,
            fault=outcome.fault, reason=outcome.reason, seconds=outcome.seconds, at=self.now(),
        )  # fmt: skip
        if outcome.fault == "machine":
            self.warn(f"{machine.name}: {outcome.reason}")
            if machine.is_phone and self.quarantine.strike(
                machine.serial, outcome.reason, self.now()
            ):
                self.warn(f"{machine.name} is in quarantine now: {outcome.reason}")
        elif outcome.ok and machine.is_phone:
            self.quarantine.clear(machine.serial)

    def leave(self, what: str) -> None:
        """Note what is left for another night."""
        self.left.append(what)

    def warn(self, sentence: str) -> None:
        """Note something for the report, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)
            self.say(sentence)

    def _usual(self, job: Job) -> float:
        """Seconds the last job of this kind took on this machine; 0 when there was none."""
        last = self.ledger.last("took", machine=job.machine.name, what=job.kind, fault="")
        return float(last["seconds"]) if last else 0.0

    def _merge(self, outcome: Outcome) -> None:
        if not outcome.files:
            return
        # Outside of the store, below which asv reads every .json.
        with tempfile.TemporaryDirectory(prefix="mobileopt-merge-") as folder:
            for name, text in outcome.files.items():
                path = Path(folder) / _safe(name)
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
            self.store.merge(folder)


def _safe(name: str) -> Path:
    """A result file's path below its store, ``machine/file`` or ``file``; raises StoreError."""
    folder, slash, file = name.rpartition("/")
    checked = Path(check_machine(folder)) if slash else Path()
    return checked / check_machine(file)
