"""The same jobs over the hosts of a lab: a Dask scheduler gives each to the host that has it.

Every host's worker declares its machines as resources, one of each: ``device:SERIAL``,
``host:NAME``. A job asks for the one it needs, so no two jobs ever use one phone. Workers write
results down before they report them, and a job submitted again answers with what is written
down: a worker or a scheduler that dies loses nothing.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mobileopt.errors import CapabilityError, ConfigurationError, InputError, MobileoptError
from mobileopt.nightly import config as configuration
from mobileopt.nightly.jobs import Job, Machine, Outcome

PATIENCE = 120.0
"""Seconds a lost scheduler, or the only worker with a machine, gets to come back."""

_LOOK = 1.0  # seconds between two looks at a job
_CONNECT = 10.0

Perform = Callable[[Job], Outcome]
Describe = Callable[[], list[Machine]]


class LostError(MobileoptError):
    """The scheduler is gone."""


_LOST = (InputError, LostError, OSError, CancelledError, asyncio.CancelledError)


@dataclass
class FleetLab:
    """The machines of a Dask cluster's workers.

    `perform` does a job where it runs, `describe` lists the machines there; both are functions
    of modules, which the workers import. `wanted` are serials that must be there.
    """

    settings: configuration.Fleet
    perform: Perform
    describe: Describe
    wanted: Sequence[str] = ()
    patience: float = PATIENCE
    _client: Any = None
    _known: dict[str, Machine] = field(default_factory=dict[str, Machine])
    _twice: dict[str, str] = field(default_factory=dict[str, str])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(256))

    def machines(self) -> list[Machine]:
        """The machines of all workers; raises CapabilityError or InputError without a cluster.

        Raises InputError for two hosts of one name: their results would be one history. A phone
        that two workers have is left out.
        """
        answers: dict[str, Any] = self.client().run(self.describe, on_error="ignore")
        having: dict[Machine, list[str]] = {}
        for worker, listed in answers.items():
            for each in listed or ():
                having.setdefault(each, []).append(worker)
        self._twice = _twice(having)
        declared = self.declared()
        self._known = {
            each.resource: each
            for each in having
            if each.resource in declared and each.serial not in self._twice
        }
        wanted = {each.serial for each in self._known.values()} & set(self.wanted)
        return [
            each
            for each in self._known.values()
            if not (each.is_phone and self.wanted) or each.serial in wanted
        ]

    def absent(self) -> dict[str, str]:
        """Phones that are asked for and that no worker has, and those that two have."""
        serials = {each.serial for each in self._known.values()}
        missing = [each for each in self.wanted if each not in serials]
        return dict.fromkeys(missing, "no worker of the cluster has it") | self._twice

    def together(self, machines: Sequence[Machine]) -> list[list[Machine]]:
        """All hosts, and then all phones: a host is not measured while it serves its phones."""
        hosts = [each for each in machines if not each.is_phone]
        phones = [each for each in machines if each.is_phone]
        return [group for group in (hosts, phones) if group]

    def submit(self, job: Job) -> Future[Outcome]:
        """Give a job to the worker that has its machine.

        Raises InputError for a machine no worker has: the job would wait for ever.
        """
        if job.machine.resource not in self._known:
            known = ", ".join(sorted(self._known)) or "nothing"
            raise InputError(
                f"no worker of the cluster has {job.machine.resource}; they have {known}"
            )
        return self._pool.submit(self._see_through, job)

    def declared(self) -> set[str]:
        """The resources that workers declare now."""
        workers: dict[str, Any] = self.client().scheduler_info(n_workers=-1)["workers"]
        # A resource that was withdrawn stays, with a quantity of 0.
        offered = (worker["resources"].items() for worker in workers.values())
        return {name for each in offered for name, quantity in each if quantity}

    def client(self) -> Any:
        """A client that is connected; raises InputError when nobody answers."""
        with self._lock:
            if self._client is None or self._client.status != "running":
                self._client = connect(self.settings)
            return self._client

    def close(self) -> None:
        """Let go of the cluster."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close(timeout=2)

    def _see_through(self, job: Job) -> Outcome:
        """Submit a job until it was answered, or until patience ends."""
        end = time.monotonic() + self.patience
        while True:
            began = time.monotonic()
            try:
                return self._once(job)
            except _LOST as error:
                now = time.monotonic()
                if now - began > self.patience:
                    end = now + self.patience  # it had come back in between
                if now > end:
                    return Outcome(job, "machine", f"the cluster did not answer: {error}")
                time.sleep(_LOOK)
            except Exception as error:
                # Dask raises what the job raised, and its own for a worker that died too often.
                return Outcome(job, "machine", f"{type(error).__name__}: {error}")

    def _once(self, job: Job) -> Outcome:
        client = self.client()
        # A key of its own each time: a result the scheduler keeps of a lost try is no answer.
        future = client.submit(
            self.perform,
            job,
            resources={job.machine.resource: 1},
            key=f"{job.id}-{time.monotonic_ns()}",
            pure=False,
            retries=2,
        )
        missing_since: float | None = None
        while True:
            try:
                return future.result(timeout=_LOOK)
            except TimeoutError:
                if future.done():
                    raise  # the job's own
            if client.status != "running":
                raise LostError("the scheduler went away")
            if job.machine.resource in self.declared():
                missing_since = None
                continue
            missing_since = missing_since or time.monotonic()
            if time.monotonic() - missing_since > self.patience:
                future.cancel()
                return Outcome(job, "machine", f"the worker with {job.machine.resource} is gone")


def _twice(having: dict[Machine, list[str]]) -> dict[str, str]:
    """The phones that several workers have, by serial; raises InputError for such a host."""
    several = {each: " and ".join(sorted(at)) for each, at in having.items() if len(at) > 1}
    for each, workers in several.items():
        if not each.is_phone:
            raise InputError(
                f"{workers} are hosts of one kind and would share the history {each.name}; set "
                f"host.enabled = false on all but one"
            )
    return {each.serial: f"{workers} both have it" for each, workers in several.items()}


def check_certificates(settings: configuration.Fleet) -> None:
    """Whether they can be shown to anybody; raises ConfigurationError for any that do not fit.

    Else they would look like a scheduler that does not answer.
    """
    if not settings.scheduler.startswith("tls:"):
        return
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        context.load_cert_chain(settings.certificate, settings.private_key)
    except OSError as error:  # ssl's own errors are such
        raise ConfigurationError(f"the files of [fleet] are no certificates: {error}") from error


def connect(settings: configuration.Fleet) -> Any:
    """A client of the scheduler; raises CapabilityError without Dask, InputError without answer."""
    distributed = require()
    try:
        return distributed.Client(
            settings.scheduler,
            security=security(settings),
            timeout=_CONNECT,
            set_as_default=False,
            name="mobileopt-nightly",
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(f"no scheduler answers at {settings.scheduler}: {error}") from error


def security(settings: configuration.Fleet) -> Any:
    """What a client and a worker show each other; None without TLS."""
    if not settings.scheduler.startswith("tls:"):
        return None
    return require().Security(
        tls_ca_file=settings.ca,
        tls_client_cert=settings.certificate,
        tls_client_key=settings.private_key,
        tls_worker_cert=settings.certificate,
        tls_worker_key=settings.private_key,
        require_encryption=True,
    )


def require() -> Any:
    """Dask's `distributed`, which only a fleet needs; raises CapabilityError with the pip line."""
    try:
        import distributed
    except ImportError as error:
        raise CapabilityError("a fleet needs Dask: pip install 'mobileopt[fleet]'") from error
    return distributed
