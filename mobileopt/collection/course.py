"""A session under way: what it was told, what it has found so far, and its launches."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from mobileopt import clocks
from mobileopt.adb import Phone, probe
from mobileopt.collection.launching import Launch, launch
from mobileopt.collection.record import Subject
from mobileopt.device import Device, State
from mobileopt.errors import CapabilityError, MeasurementError, MobileoptError, ProgramError
from mobileopt.run import Plan
from mobileopt.sampling import LEAD, Budget
from mobileopt.validity import Gate, gate, heated, thresholds


class Stopped(Exception):
    """The user asked to stop; nothing is to be recorded."""


@dataclass(frozen=True)
class Setting:
    """Where and how sessions run.

    `pin` keeps programs on the fastest cores the shell may use, unless the plan names cores.
    `idle` are the seconds of a launch of nothing; `deadline` is in seconds a launch; `stop` ends
    everything between two launches; `tell` takes sentences about what goes on.
    """

    phone: Phone
    device: Device
    plan: Plan
    budget: Budget
    pin: bool = False
    idle: float = 0.0
    deadline: float = 300.0
    entry: Gate = field(default_factory=lambda: thresholds()[0])
    stop: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[str], None] = lambda _: None


@dataclass
class Course:
    """A session under way."""

    setting: Setting
    subjects: dict[str, Subject]
    plans: dict[str, Plan]
    rounds: dict[str, list[tuple[float, ...]]]
    before: State = field(default_factory=State)
    probe: Plan | None = None
    failures: dict[str, MobileoptError] = field(default_factory=dict[str, MobileoptError])
    doubts: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    unsettled: Counter[str] = field(default_factory=Counter[str])
    made: dict[str, list[Launch]] = field(default_factory=dict[str, list[Launch]])
    launches: int = 0
    programs: float = 0.0
    pushing: float = 0.0
    waiting: float = 0.0

    @classmethod
    def begin(cls, setting: Setting, subjects: Sequence[Subject]) -> Course:
        """A session that has done nothing yet."""
        named = {each.name: each for each in subjects}
        plan = replace(setting.plan, iterations=setting.plan.iterations + LEAD)
        return cls(setting, named, dict.fromkeys(named, plan), {name: [] for name in named})

    @property
    def alive(self) -> list[str]:
        """The variants that have not failed."""
        return [name for name in self.subjects if name not in self.failures]

    def doubt(self, name: str, *sentences: str) -> None:
        """Remember reasons to suspect a variant's samples."""
        self.doubts.setdefault(name, {}).update(dict.fromkeys(sentences))

    def attempt(self, name: str) -> Launch | None:
        """Launch a variant; a failure of its own is noted, and gives None."""
        try:
            return self.launch(self.subjects[name], self.plans[name])
        except (ProgramError, MeasurementError, CapabilityError) as error:
            self.failures[name] = error
            return None

    def launch(self, subject: Subject, plan: Plan) -> Launch:
        """One launch; raises Stopped when asked to stop, else as `launching.launch` does."""
        self.check_stop()
        setting = self.setting
        leaders = clocks.leaders(self.before, plan.cores)
        self.launches += 1
        done = launch(setting.phone, subject, plan, leaders, setting.deadline)
        self.programs += max(0.0, done.seconds - setting.idle)
        return done

    def enter(self) -> None:
        """Wait, within bounds, until the phone is fit; from now on its heat is counted anew."""

        def sleep(seconds: float) -> None:
            self.waiting += seconds
            if self.setting.stop.wait(seconds):
                raise Stopped

        def waiting(reasons: str, left: float) -> None:
            self.setting.tell(f"waits, {left:.0f} s at most: {reasons}")

        setting = self.setting
        read = lambda: probe.state(setting.phone)  # noqa: E731
        self.before = gate(setting.device, read, setting.entry, waiting=waiting, sleep=sleep)

    def heated(self) -> str:
        """Why the heat budget is spent, or nothing."""
        return heated(self.before, probe.heat(self.setting.phone))

    def check_stop(self) -> None:
        """Raise Stopped when asked to stop."""
        if self.setting.stop.is_set():
            raise Stopped
