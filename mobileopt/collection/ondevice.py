"""The collection on one device: what is to be measured there, and what became of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby

from mobileopt.adb import Phone, again
from mobileopt.adb.claim import claimed, renew
from mobileopt.collection import programs, traces
from mobileopt.collection.course import Setting, Stopped
from mobileopt.collection.exports import Exports
from mobileopt.collection.launching import idle
from mobileopt.collection.measuring import Measuring
from mobileopt.collection.order import (
    FAILED,
    PRESENT,
    SKIPPED,
    Event,
    Order,
    Outcome,
    Watch,
    not_for_phones,
    not_for_programs,
    unfit,
)
from mobileopt.collection.programs import Program
from mobileopt.collection.record import Subject
from mobileopt.collection.stored import present
from mobileopt.collection.storing import Filing, environment, named, sentence
from mobileopt.device import Device
from mobileopt.errors import (
    AbiError,
    AccessError,
    ConnectionLostError,
    DeviceError,
    MobileoptError,
    OutputError,
    ServerError,
    StoreError,
)
from mobileopt.store import Store
from mobileopt.variant import Variant

_ENDS_ALL = (AccessError, ConnectionLostError, ServerError, StoreError, Stopped)
"""What the device's other models would meet as well."""


class OnDevice:
    """The collection on one device, in one thread."""

    def __init__(
        self, order: Order, exports: Exports, stop: threading.Event, device: Device, phone: Phone
    ) -> None:
        self.order, self.exports, self.stop = order, exports, stop
        self.device, self.phone = device, phone
        self.tell: Watch = lambda _: None

    def collect(self, watch: Watch) -> list[Outcome]:
        """Collect everything; gives what became of each variant that was come to.

        Nothing that happens here ends the collection on other devices: what nobody has foreseen
        becomes the failure of the variants that have no outcome yet.
        """
        told: list[Outcome] = []
        self.tell = watch
        try:
            with contextlib.closing(self._outcomes()) as outcomes:
                for outcome in outcomes:
                    told.append(outcome)
                    watch(Event(self.device.name, outcome=outcome))
        except Stopped:
            pass
        except Exception as error:
            named_already = {each.variant for each in told}
            rest = [each for each in self.order.variants if str(each) not in named_already]
            told += [self._failed(each, error) for each in rest]
            with contextlib.suppress(Exception):  # it may be `watch` that fails
                for outcome in told[-len(rest) :] if rest else ():
                    watch(Event(self.device.name, outcome=outcome))
        return told

    def _outcomes(self) -> Generator[Outcome, None, None]:
        order = self.order
        self.phone.expect(self.device.serial)
        self._clear()
        filing = Filing(self.device, order.commit, environment(order.versions), order.benchmark)
        store = Store(order.store)
        try:
            stored = frozenset[Variant]() if order.redo else present(store, filing)
        except StoreError as error:
            yield from (self._failed(each, error) for each in order.variants)
            return
        wanted = [each for each in order.variants if each not in stored]
        self.tell(Event(self.device.name, total=len(order.variants)))
        for each in order.variants:
            if each in stored:
                yield self._outcome(each, PRESENT)
        if wanted:
            yield from self._wanted(wanted, store, filing)

    def _clear(self) -> None:
        """Undo what a killed run left, whether or not there is anything to measure."""
        # What stands in the way now is told when the phone is claimed to be measured; and what
        # is found may be of somebody who measures it.
        with contextlib.suppress(DeviceError, OutputError):
            if traces.found(self.phone):
                with self._claimed():
                    traces.clear(self.phone)

    def _wanted(self, wanted: Sequence[Variant], store: Store, filing: Filing) -> Iterator[Outcome]:
        remaining = list(wanted)
        try:
            found = self._programs()
            with self._claimed():
                try:
                    setting = again(
                        self.phone, lambda: self._setting(found), patience=self.order.patience
                    )
                    measuring = Measuring(self.order, setting, filing, store)
                    for outcome in self._models(wanted, found, measuring):
                        remaining.remove(Variant.parse(outcome.variant))
                        yield outcome
                finally:
                    self._leave()
        except Exception as error:
            # Whatever it is, it is this device's; each variant without an outcome carries it.
            if self.stop.is_set():
                raise Stopped from error
            yield from self._all_failed(remaining, error, store, filing)

    def _claimed(self) -> contextlib.AbstractContextManager[None]:
        return claimed(self.phone, self.device.name, self.order.locks, self.order.patience)

    def _setting(self, found: Sequence[Program]) -> Setting:
        traces.tidy(self.phone, found)
        order, name, tell = self.order, self.device.name, self.tell
        return Setting(
            self.phone,
            self.device,
            order.plan,
            order.budget,
            pin=order.pin,
            idle=idle(self.phone),
            deadline=order.deadline,
            entry=order.entry,
            stop=self.stop,
            tell=lambda sentence: tell(Event(name, sentence)),
        )

    def _leave(self) -> None:
        # Not on a phone that is another's by now; nor is this cut by Ctrl-C.
        with contextlib.suppress(DeviceError), self.phone.finishing():
            renew(self.phone, self.device.name)
            traces.leave(self.phone)

    def _programs(self) -> tuple[Program, ...]:
        found = self.order.programs or self.order.cached(self.device)
        if not found:
            abis = ", ".join(self.device.abis) or "an unknown ABI"
            raise AbiError(
                f"no program for {abis} is in the cache; build one with python -m tools.build, "
                "or name one with --binary"
            )
        return programs.fitting(found, self.device)

    def _models(
        self, wanted: Sequence[Variant], found: Sequence[Program], measuring: Measuring
    ) -> Iterator[Outcome]:
        for model, group in groupby(wanted, key=lambda each: each.model):
            remaining = list(group)
            try:
                for outcome in self._model(model, tuple(remaining), found, measuring):
                    remaining.remove(Variant.parse(outcome.variant))
                    yield outcome
            except _ENDS_ALL:
                raise
            except Exception as error:
                if self.stop.is_set():
                    raise Stopped from error
                yield from self._all_failed(remaining, error, measuring.store, measuring.filing)

    def _model(
        self,
        model: str,
        variants: Sequence[Variant],
        found: Sequence[Program],
        measuring: Measuring,
    ) -> Iterator[Outcome]:
        impossible = {each: reason for each in variants if (reason := _why_not(each, found))}
        for each, reason in impossible.items():
            yield self._outcome(each, SKIPPED, reason)
        possible = [each for each in variants if each not in impossible]
        if not possible:
            return
        subjects: list[Subject] = []
        measuring.setting.tell(f"{model}: exporting")
        recipes = [each.recipe for each in possible]
        exported = self.exports.get(model, recipes, measuring.setting.tell)
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
            yield from measuring.session(subjects, self._reference(found, measuring.setting))

    def _reference(self, found: Sequence[Program], setting: Setting) -> Subject | None:
        """The first of the references that there is a program for; none if they are not made."""
        for each in self.order.references:
            try:
                exported = self.exports.get(each.model, [each.recipe], setting.tell)
            except MobileoptError as error:
                setting.tell(f"{each} is no reference: {error}")
                continue
            made = exported.made.get(each.recipe)
            program = programs.choose(found, made.path.suffix) if made else None
            if made and program:
                return Subject(made, program)
        return None

    def _all_failed(
        self, variants: Iterable[Variant], error: Exception, store: Store, filing: Filing
    ) -> Iterator[Outcome]:
        started = datetime.now(UTC)
        entries = [filing.failed(each, error, started) for each in variants]
        if entries and not isinstance(error, StoreError):
            with contextlib.suppress(StoreError):  # the outcome below tells the reason anyway
                store.add(*entries)
        yield from (self._failed(each, error) for each in variants)

    def _failed(self, variant: Variant, error: Exception) -> Outcome:
        return replace(self._outcome(variant, FAILED, sentence(error)), error=named(error))

    def _outcome(self, variant: Variant, status: str, reason: str = "") -> Outcome:
        return Outcome(self.device.name, str(variant), status, reason)


def _why_not(variant: Variant, found: Sequence[Program]) -> str:
    return not_for_phones(variant.recipe) or not_for_programs(variant.recipe, found)
