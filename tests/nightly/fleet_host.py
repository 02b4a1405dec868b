"""A host of a lab as a process: what `tools.worker` runs, with jobs that only count themselves.

    python fleet_host.py SCHEDULER FOLDER RESOURCE...

FOLDER/tls holds certificates where the scheduler is tls://.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from rich.console import Console

from mobileopt.nightly.config import Config, Fleet
from mobileopt.nightly.jobs import Machine, Outcome
from tools import worker

FOLDER = "FLEET_HOST_FOLDER"


def perform(job):
    """Count the job's beginning and end, durably; take as long as the job's attempt says."""
    log = Path(os.environ[FOLDER]) / "log"
    with log.open("a") as file:
        file.write(f"begin {job.id} {job.machine.resource} {time.monotonic()}\n")
    time.sleep(job.attempt / 10)
    with log.open("a") as file:
        file.write(f"end {job.id} {job.machine.resource} {time.monotonic()}\n")
    return Outcome(job, found={"pid": os.getpid()})


def machines():
    """The machines of this process."""
    return [machine(each) for each in os.environ["FLEET_HOST_RESOURCES"].split()]


def machine(resource):
    kind, _, name = resource.partition(":")
    return Machine(f"phone-{name}", name) if kind == "device" else Machine(name)


def settings(scheduler, folder):
    tls = Path(folder) / "tls"
    files = [str(tls / name) for name in ("ca.pem", "cert.pem", "key.pem")]
    return Fleet(scheduler, *(files if scheduler.startswith("tls") else ("", "", "")))


if __name__ == "__main__":
    _, scheduler, folder, *resources = sys.argv
    os.environ[FOLDER] = folder
    os.environ["FLEET_HOST_RESOURCES"] = " ".join(resources)
    worker._AGAIN = 0.5
    state = Path(folder) / f"host-{os.getpid()}"
    config = Config(fleet=settings(scheduler, folder), root=state)
    worker._LOOK = 0.2
    offered = Path(folder) / "offered"

    def look():
        """What a test has written since, if anything."""
        if not offered.exists():
            return None
        os.environ["FLEET_HOST_RESOURCES"] = offered.read_text()
        return machines()

    asyncio.run(worker._serve(config, dict.fromkeys(resources, 1), look, Console(stderr=True)))
