"""What all parts of one night share: its machines, its time, its memory and its voice."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mobileopt.nightly.budget import Budget
from mobileopt.nightly.config import Config
from mobileopt.nightly.jobs import Job, Lab, Machine, Outcome
from mobileopt.nightly.ledger import Ledger
from mobileopt.nightly.quarantine import Quarantine
from mobileopt.store import Store
from mobileopt.store.names import check_machine

PATIENCE = 3
"""Times a machine may be busy before it is left alone for a while."""


@dataclass
class Shift:
    """One night. `order` are the branch's commits, oldest first; `clock` gives seconds since 1970.

    `left` is what there was no time or no machine for, and why; `warnings` what a reader should
    know, `measured` the machine and commit of each finished measurement, `failed` the outcomes of
    those that gave nothing, `absent` the phones that are not here or left alone, and why, and
    `busy` how often a machine was. `begun` of `planned` measurements are on their way or done.
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
    left: dict[str, str] = field(default_factory=dict[str, str])
    warnings: list[str] = field(default_factory=list[str])
    measured: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    failed: list[Outcome] = field(default_factory=list[Outcome])
    absent: dict[Machine, str] = field(default_factory=dict[Machine, str])
    busy: Counter[str] = field(default_factory=Counter[str])
    planned: int = 0
    begun: int = 0

    def seconds_left(self, *, measuring: bool = False) -> float | None:
        """Until the end of the night, or of measuring what is new; None for no end."""
        return self.budget.left(self.now(), measuring=measuring)

    def refusal(self, job: Job, *, measuring: bool = False) -> str:
        """Why a job may not start now; empty when it may."""
        if job.machine.is_phone and self.quarantine.is_out(job.machine.serial, self.now()):
            return f"{job.machine.name} is in quarantine"
        if self.busy[job.machine.name] >= PATIENCE:
            return f"{job.machine.name} was not ready {PATIENCE} times"
        if not self.budget.fits(self.now(), self._usual(job), measuring=measuring):
            return "no time was left"
        return ""

    def in_quarantine(self, machine: Machine) -> bool:
        """Whether a phone is to be left alone; says so, with the reason."""
        if not machine.is_phone or not self.quarantine.is_out(machine.serial, self.now()):
            return False
        reason = f"in quarantine: {self.quarantine.standings()[machine.serial].reason}"
        self.absent[machine] = reason
        self.warn(f"{machine.name} is {reason}")
        return True

    def keep(self, outcome: Outcome) -> Outcome:
        """Put an outcome's results into the store and into the ledger, and count phones' faults.

        Returns the outcome, which is a failure where its files were refused.
        """
        job, machine = outcome.job, outcome.job.machine
        outcome = self._merged(outcome)
        self.ledger.add(
            "took", job=job.id, machine=machine.name, what=job.kind, commit=job.commit,
            fault=outcome.fault, reason=outcome.reason, seconds=outcome.seconds, at=self.now(),
        )  # fmt: skip
        if outcome.fault == "busy":
            self.busy[machine.name] += 1
        if outcome.fault == "machine":
            self.warn(f"{machine.name}: {outcome.reason}")
            if machine.is_phone and self.quarantine.strike(
                machine.serial, outcome.reason, self.now()
            ):
                self.warn(f"{machine.name} is in quarantine now: {outcome.reason}")
        elif outcome.ok and machine.is_phone:
            self.quarantine.clear(machine.serial)
        return outcome

    def leave(self, job: Job, reason: str) -> None:
        """Note a measurement that is left for another night."""
        self.left[_told(job)] = reason

    def finish(self, job: Job) -> None:
        """Note a measurement that is done."""
        self.measured.append((job.machine.name, job.commit))
        self.left.pop(_told(job), None)

    def warn(self, sentence: str) -> None:
        """Note something for the report, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)
            self.say(sentence)

    def _usual(self, job: Job) -> float:
        """Seconds the last job of this kind took on this machine; 0 when there was none."""
        last = self.ledger.last("took", machine=job.machine.name, what=job.kind, fault="")
        return float(last["seconds"]) if last else 0.0

    def _merged(self, outcome: Outcome) -> Outcome:
        try:
            self._merge(outcome)
        except Exception as error:
            # Files come from another computer: whatever is wrong in them ends no night here.
            reason = f"its results were refused: {type(error).__name__}: {error}"
            return Outcome(outcome.job, "machine", reason, seconds=outcome.seconds)
        return outcome

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


def _told(job: Job) -> str:
    return f"{job.commit[:8]} on {job.machine.name}"


def _safe(name: str) -> Path:
    """A result file's path below its store, ``machine/file`` or ``file``; raises StoreError."""
    folder, slash, file = name.rpartition("/")
    checked = Path(check_machine(folder)) if slash else Path()
    return checked / check_machine(file)
