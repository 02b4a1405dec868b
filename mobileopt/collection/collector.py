"""Collects: every device in a thread of its own, every model in a session, stored at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from mobileopt.adb import Phone
from mobileopt.collection.exports import Exports
from mobileopt.collection.ondevice import OnDevice
from mobileopt.collection.order import Order, Outcome, Watch
from mobileopt.device import Device


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
        on = OnDevice(self.order, self._exports, self._stop, device, phone)
        return on.collect(self.watch)
