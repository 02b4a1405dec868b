"""The sessions on one device: begun again where that helps, and stored."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from statistics import median

from mobileopt import sampling
from mobileopt.adb.claim import renew
from mobileopt.collection import session, traces
from mobileopt.collection.course import Setting, Stopped
from mobileopt.collection.order import FAILED, PRESENT, STORED, Order, Outcome
from mobileopt.collection.record import Record, Subject
from mobileopt.collection.stored import believed
from mobileopt.collection.storing import Filing
from mobileopt.errors import MobileoptError, NotReadyError, TransientDeviceError
from mobileopt.store import Entry, Store
from mobileopt.validity import SUSPECT
from mobileopt.variant import Variant


class Measuring:
    """Sessions on one device, which is claimed for as long."""

    def __init__(self, order: Order, setting: Setting, filing: Filing, store: Store) -> None:
        self.order, self.setting, self.filing, self.store = order, setting, filing, store
        self.device, self.phone = setting.device, setting.phone

    def session(self, subjects: Sequence[Subject], reference: Subject | None) -> Iterator[Outcome]:
        """Measure the variants of a model together, and store them.

        Raises DeviceError for a fault of the phone, StoreError, and Stopped when asked to stop.
        """
        started = datetime.now(UTC)
        record = self._measure(subjects, reference)
        measured = time.monotonic()
        entries = self._entries(record, subjects, started)
        self.store.add(*entries)
        kept = reference.remote if reference else ""
        traces.drop(self.phone, [each.remote for each in subjects if each.remote != kept])
        spent = record.times.overhead + time.monotonic() - measured
        overhead, launches = spent / len(subjects), max(1, record.times.launches)
        self.setting.tell(
            f"overhead {overhead:.2f} s a variant, {spent / launches:.3f} s a launch of {launches}"
        )
        for subject, entry in zip(subjects, entries, strict=True):
            yield self._told(subject, entry, record, overhead)

    def _entries(
        self, record: Record, subjects: Sequence[Subject], started: datetime
    ) -> list[Entry]:
        suspect = any(each.verdict == SUSPECT for each in record.validity.values())
        better = believed(self.store, self.filing) if suspect else frozenset[Variant]()
        return [
            self.filing.measured(
                record, each, started, self.setting, believed=each.artifact.variant in better
            )
            for each in subjects
        ]

    def _measure(self, subjects: Sequence[Subject], reference: Subject | None) -> Record:
        """A session; begun again after a lost connection, and once more when it throttled."""
        recipes = [each.artifact.variant.recipe for each in subjects]
        wanted = self.order.baseline
        recipe = wanted if wanted in recipes else sampling.closest(recipes)
        baseline = next(e.name for e in subjects if e.artifact.variant.recipe == recipe)

        def once() -> Record:
            renew(self.phone, self.device.name)
            seed = secrets.randbits(32)
            record = session.measure(self.setting, subjects, baseline, reference, seed)
            self.phone.verify()  # adb's server reconnects by itself to whoever has the address
            return record

        record = self._again(once)
        if record.throttled and not self.device.emulator:
            self.setting.tell("it throttled; once more, after cooling down")
            with contextlib.suppress(TransientDeviceError):  # still hot: the first one counts
                record = min(record, self._again(once), key=lambda each: each.rank)
            if self.setting.stop.is_set():
                raise Stopped
        return record

    def _again(self, deed: Callable[[], Record]) -> Record:
        for _ in range(self.order.attempts - 1):
            try:
                return deed()
            except NotReadyError:
                raise  # it has waited long enough
            except TransientDeviceError as error:
                if self.setting.stop.is_set():
                    raise Stopped from error
                self._recover(error)
        return deed()

    def _recover(self, error: MobileoptError) -> None:
        self.setting.tell(f"{error}; waits for it to come back")
        self.phone.reconnect(self.order.patience)
        renew(self.phone, self.device.name)
        traces.leave(self.phone)

    def _told(self, subject: Subject, entry: Entry, record: Record, overhead: float) -> Outcome:
        device, variant = self.device.name, subject.name
        validity = record.validity.get(variant)
        if entry.reason is None:
            return Outcome(
                device,
                variant,
                STORED,
                "; ".join(validity.reasons) if validity else "",
                validity=validity.verdict if validity else "",
                samples=len(entry.samples),
                seconds=median(entry.samples),
                overhead=overhead,
            )
        if validity and validity.verdict == SUSPECT:
            return Outcome(
                device, variant, PRESENT, entry.reason, validity=SUSPECT, overhead=overhead
            )
        error = str(entry.context.get("error", "invalid"))
        return Outcome(device, variant, FAILED, entry.reason, error=error, overhead=overhead)
