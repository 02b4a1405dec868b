"""Collects: every device in a thread of its own, every model in a session, stored at once."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from statistics import median
from typing import Any

from mobileopt import sampling
from mobileopt.adb import Phone, again
from mobileopt.adb.claim import claimed, renew
from mobileopt.collection import programs, session
from mobileopt.collection.exports import Exports
from mobileopt.collection.order import (
    FAILED,
    PRESENT,
    SKIPPED,
    STORED,
    Event,
    Order,
    Outcome,
    Watch,
    not_for_phones,
    not_for_programs,
    unfit,
)
from mobileopt.collection.programs import Program
from mobileopt.collection.session import Record, Setting, Stopped, Subject
from mobileopt.collection.storing import Filing, environment, named
from mobileopt.device import Device
from mobileopt.errors import (
    AbiError,
    AccessError,
    ConnectionLostError,
    MobileoptError,
    NotReadyError,
    ServerError,
    StoreError,
    TransientDeviceError,
)
from mobileopt.store import Entry, Store
from mobileopt.variant import Recipe, Variant

_ENDS_ALL = (AccessError, ConnectionLostError, ServerError)
"""Faults that the phone's other models would meet as well."""


class Collection:
    """A collection on several devices; `run` it once, `stop` it from any thread."""

    def __init__(self, order: Order, watch: Watch = lambda _: None) -> None:
        self.order, self.watch = order, watch
        self._stop = threading.Event()
        self._phones: list[Phone] = []
        self._exports = Exports(
            order.exports,
            order.repository,
            order.commit,
            order.versions,
            seconds=order.export_deadline,
            stop=self._stop,
        )

    def run(self, devices: Sequence[tuple[Device, Phone]]) -> tuple[Outcome, ...]:
        """Collect on every device, each in a thread; gives the outcomes of all, in their order.

        A fault of one device is in its outcomes and stops no other. KeyboardInterrupt stops all
        of them, and is raised again when the phones are as they were.
        """
        self._phones = [phone for _, phone in devices]
        with ThreadPoolExecutor(max_workers=max(1, len(devices))) as pool:
            running = [pool.submit(self._device, device, phone) for device, phone in devices]
            try:
                # In slices: a signal is only taken between two waits for a lock.
                while not all(each.done() for each in running):
                    time.sleep(0.05)
            except BaseException:
                self.stop()
                raise
        return tuple(outcome for each in running for outcome in each.result())

    def stop(self) -> None:
        """End every session as soon as it can be; what was not finished is not recorded."""
        self._stop.set()
        for phone in self._phones:
            phone.interrupt()

    def _device(self, device: Device, phone: Phone) -> list[Outcome]:
        return list(_OnDevice(self, device, phone).collect())

    @property
    def exports(self) -> Exports:
        """The artifacts of the commit."""
        return self._exports

    @property
    def stopping(self) -> threading.Event:
        """Set when it is to stop."""
        return self._stop


class _OnDevice:
    """The collection on one device."""

    def __init__(self, collection: Collection, device: Device, phone: Phone) -> None:
        self.collection, self.order = collection, collection.order
        self.device, self.phone = device, phone
        order = self.order
        self.filing = Filing(device, order.commit, environment(order.versions), order.benchmark)
        self.store = Store(order.store)
        self.setting = Setting(
            phone,
            device,
            order.plan,
            order.budget,
            pin=order.pin,
            deadline=order.deadline,
            entry=order.entry,
            stop=collection.stopping,
            tell=lambda sentence: collection.watch(Event(device.name, sentence)),
        )

    def collect(self) -> Iterable[Outcome]:
        outcomes = self._outcomes()
        told: list[Outcome] = []
        with contextlib.suppress(Stopped):
            for outcome in outcomes:
                told.append(outcome)
                self.collection.watch(Event(self.device.name, outcome=outcome))
        return told

    def _outcomes(self) -> Iterable[Outcome]:
        try:
            stored = frozenset[Variant]()
            if not self.order.redo:
                stored = present(self.store, self.filing)
        except StoreError as error:
            yield from self._all_failed(self.order.variants, error)
            return
        wanted = [each for each in self.order.variants if each not in stored]
        total = len(self.order.variants)
        self.collection.watch(Event(self.device.name, total=total))
        for each in self.order.variants:
            if each in stored:
                yield self._outcome(each, PRESENT)
        if wanted:
            yield from self._wanted(wanted)

    def _wanted(self, wanted: Sequence[Variant]) -> Iterable[Outcome]:
        remaining = list(wanted)
        try:
            found = self._programs()
            patience = self.order.patience
            with claimed(self.phone, self.device.name, self.order.locks, patience):
                again(self.phone, lambda: self._prepare(found), patience=patience)
                try:
                    for outcome in self._models(wanted, found):
                        remaining.remove(Variant.parse(outcome.variant))
                        yield outcome
                except _ENDS_ALL:
                    raise  # nobody is there to tidy up; the next start does
                except BaseException:
                    session.leave(self.phone)
                    raise
                session.leave(self.phone)
        except MobileoptError as error:
            # Whatever it is, it is this device's; each variant without an outcome carries it.
            if self.collection.stopping.is_set():
                raise Stopped from error
            yield from self._all_failed(remaining, error)

    def _prepare(self, found: Sequence[Program]) -> None:
        session.tidy(self.phone, found)
        self.setting = replace(self.setting, idle=session.idle(self.phone))

    def _programs(self) -> tuple[Program, ...]:
        found = self.order.programs or self.order.cached(self.device)
        if not found:
            abis = ", ".join(self.device.abis) or "an unknown ABI"
            raise AbiError(
                f"no program for {abis} is in the cache; build one with python -m tools.build, "
                "or name one with --binary"
            )
        return programs.fitting(found, self.device)

    def _models(self, wanted: Sequence[Variant], found: Sequence[Program]) -> Iterable[Outcome]:
        for model, group in groupby(wanted, key=lambda each: each.model):
            remaining = list(group)
            try:
                for outcome in self._model(model, tuple(remaining), found):
                    remaining.remove(Variant.parse(outcome.variant))
                    yield outcome
            except (*_ENDS_ALL, StoreError):
                raise
            except MobileoptError as error:
                if self.collection.stopping.is_set():
                    raise Stopped from error
                yield from self._all_failed(remaining, error)

    def _model(
        self, model: str, variants: Sequence[Variant], found: Sequence[Program]
    ) -> Iterable[Outcome]:
        subjects: list[Subject] = []
        impossible = {each: reason for each in variants if (reason := _why_not(each, found))}
        for each, reason in impossible.items():
            yield self._outcome(each, SKIPPED, reason)
        possible = [each for each in variants if each not in impossible]
        if not possible:
            return
        self.setting.tell(f"{model}: exporting")
        recipes = [each.recipe for each in possible]
        exported = self.collection.exports.get(model, recipes, self.setting.tell)
        for variant in possible:
            artifact = exported.made.get(variant.recipe)
            if artifact is None:
                yield self._outcome(variant, SKIPPED, exported.refused[variant.recipe])
                continue
            program = programs.choose(found, artifact.path.suffix)
            reason = unfit(artifact.engine, artifact.path.suffix, program)
            if reason or program is None:
                yield self._outcome(variant, SKIPPED, reason)
            else:
                subjects.append(Subject(artifact, program))
        if subjects:
            yield from self._session(subjects, self._reference(found))

    def _reference(self, found: Sequence[Program]) -> Subject | None:
        """The first of the references that there is a program for."""
        for each in self.order.references:
            made = self.collection.exports.get(each.model, [each.recipe]).made.get(each.recipe)
            program = programs.choose(found, made.path.suffix) if made else None
            if made and program:
                return Subject(made, program)
        return None

    def _session(self, subjects: Sequence[Subject], reference: Subject | None) -> Iterable[Outcome]:
        started = datetime.now(UTC)
        record = self._measure(subjects, reference)
        measured = time.monotonic()
        entries = [self.filing.measured(record, each, started, self.setting) for each in subjects]
        self.store.add(*entries)
        storing = time.monotonic() - measured
        overhead = (record.times.overhead + storing) / len(subjects)
        for subject, entry in zip(subjects, entries, strict=True):
            yield self._told(subject, entry, record, overhead)

    def _measure(self, subjects: Sequence[Subject], reference: Subject | None) -> Record:
        """A session; begun again after a lost connection, and once more when it throttled."""
        recipes = [each.artifact.variant.recipe for each in subjects]
        wanted = self.order.baseline
        recipe = wanted if wanted in recipes else sampling.closest(recipes)
        baseline = next(e.name for e in subjects if e.artifact.variant.recipe == recipe)

        def once() -> Record:
            renew(self.phone)
            seed = secrets.randbits(32)
            return session.measure(self.setting, subjects, baseline, reference, seed)

        record = self._again(once)
        if record.throttled and not self.device.emulator:
            self.setting.tell("it throttled; once more, after cooling down")
            with contextlib.suppress(TransientDeviceError):  # still hot: the first one counts
                second = self._again(once)
                record = record if second.throttled else second
            if self.collection.stopping.is_set():
                raise Stopped
        return record

    def _again(self, deed: Callable[[], Record]) -> Record:
        for _ in range(self.order.attempts - 1):
            try:
                return deed()
            except NotReadyError:
                raise  # it has waited long enough
            except TransientDeviceError as error:
                if self.collection.stopping.is_set():
                    raise Stopped from error
                self._recover(error)
        return deed()

    def _recover(self, error: MobileoptError) -> None:
        self.setting.tell(f"{error}; waits for it to come back")
        self.phone.reconnect(self.order.patience)
        renew(self.phone)
        session.leave(self.phone)

    def _told(self, subject: Subject, entry: Entry, record: Record, overhead: float) -> Outcome:
        variant = subject.artifact.variant
        if entry.reason is not None:
            error = str(entry.context.get("error", "invalid"))
            return self._outcome(variant, FAILED, entry.reason, error=error, overhead=overhead)
        return self._outcome(
            variant,
            STORED,
            "; ".join(record.validity[subject.name].reasons),
            validity=record.validity[subject.name].verdict,
            samples=len(entry.samples),
            seconds=median(entry.samples),
            overhead=overhead,
        )

    def _all_failed(self, variants: Sequence[Variant], error: MobileoptError) -> Iterable[Outcome]:
        started = datetime.now(UTC)
        if variants and not isinstance(error, StoreError):
            with contextlib.suppress(StoreError):  # the outcome below tells the reason anyway
                self.store.add(*(self.filing.failed(each, error, started) for each in variants))
        for each in variants:
            yield self._outcome(each, FAILED, str(error), error=named(error))

    def _outcome(self, variant: Variant, status: str, reason: str = "", **more: Any) -> Outcome:
        return Outcome(self.device.name, str(variant), status, reason, **more)


def present(store: Store, filing: Filing) -> frozenset[Variant]:
    """The variants that have a value of this benchmark, commit and device."""
    if not (store.path / filing.device.name).is_dir():
        return frozenset()
    frame: Any = store.frame()  # pandas ships no stubs
    if not {"model", "recipe"} <= set(frame.columns):
        return frozenset()
    rows = frame[
        (frame["machine"] == filing.device.name)
        & (frame["commit"] == filing.commit.hash)
        & (frame["environment"] == filing.environment.name)
        & (frame["benchmark"] == filing.benchmark.name)
        & (frame["version"] == filing.benchmark.version)
        & (frame["status"] == "measured")
    ]
    return frozenset(
        Variant(str(model), Recipe.parse(str(recipe)))
        for model, recipe in zip(rows["model"], rows["recipe"], strict=True)
    )


def _why_not(variant: Variant, found: Sequence[Program]) -> str:
    return not_for_phones(variant.recipe) or not_for_programs(variant.recipe, found)
