"""Offer this host and its phones to a lab's scheduler, until stopped.

Runs in a clone of its own, with a nightly.toml of its own: which phones, which programs, where
the scheduler is and the certificates to show it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from mobileopt.errors import ConfigurationError, InputError, MobileoptError
from mobileopt.nightly import config as configuration
from mobileopt.nightly import fleet, lock, night, orphans
from mobileopt.nightly.config import NAME, Config
from mobileopt.nightly.jobs import Machine
from tools import _night_worker
from tools._night_worker import CONFIG

_EXAMPLES = """examples:
  python -m tools.worker                          as ./nightly.toml says
  python -m tools.worker --scheduler tls://lab:8786
  python -m tools.worker --list                   what it would offer

exit codes: 0 stopped, 2 something was wrong and one sentence says what,
3 the configuration is broken
"""
_AGAIN = 5.0  # seconds between two tries to reach the scheduler
_LOOK = 30.0  # seconds between two looks at what is connected
_THREADS = 64  # jobs at a time: more phones than a host has ports, for they come and go

Look = Callable[[], "list[Machine] | None"]
"""The machines here, or None when they are what they were the last time."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; runs until SIGTERM or Ctrl-C."""
    arguments = _parser().parse_args(argv)
    console = Console(stderr=True)
    try:
        config = _configured(arguments)
        with contextlib.chdir(config.repository_path):
            look = _night_worker.Look()
            resources = {each.resource: 1 for each in look() or ()}
            if arguments.list:
                print("\n".join(sorted(resources)))
                return 0
            serve(config, resources, look, console)
    except MobileoptError as error:
        print(f"worker: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        pass
    return 0


def serve(config: Config, resources: dict[str, int], look: Look, console: Console) -> None:
    """Work for the scheduler until stopped; a scheduler that is lost is looked for again.

    Phones that come and go are offered and withdrawn. Raises InputError where there never can
    be a machine, and OutputError when a worker runs here already.
    """
    if not (config.host.enabled or config.phones.enabled):
        raise InputError("there is no machine to offer: host.enabled and phones.enabled are off")
    with lock.held(night.prepare(config)):
        orphans.adopt(night.state_folder(config))
        asyncio.run(_serve(config, resources, look, console))
        orphans.adopt(night.state_folder(config))


async def _serve(config: Config, resources: dict[str, int], look: Look, console: Console) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    stopping = asyncio.create_task(stopped.wait())
    while not stopped.is_set():
        try:
            worker = await _worker(config, resources)
        except (OSError, TimeoutError) as error:
            console.print(f"no scheduler at {config.fleet.scheduler}: {error}", highlight=False)
        else:
            _say(resources, console)
            ended = asyncio.create_task(worker.finished())
            looking = asyncio.create_task(_look_again(worker, resources, look, console))
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            looking.cancel()
            # A job under way is not waited for: it writes its result down for the next try.
            await worker.close(timeout=2, executor_wait=False)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _AGAIN)


async def _look_again(worker: Any, resources: dict[str, int], look: Look, console: Console) -> None:
    """Offer what was plugged in and withdraw what is gone, for as long as the worker works.

    A job that is under way goes on: the worker itself never gives one machine to two.
    """
    while True:
        await asyncio.sleep(_LOOK)
        found = await asyncio.to_thread(look)
        if found is None:
            continue
        there = dict.fromkeys((each.resource for each in found), 1)
        changed = {name: there.get(name, 0) for name in resources.keys() ^ there.keys()}
        if changed:
            resources.clear()
            resources.update(there)
            with contextlib.suppress(OSError):  # a scheduler that is gone is told when it is back
                await worker.set_resources(**changed)
            _say(resources, console)


def _say(resources: dict[str, int], console: Console) -> None:
    offered = ", ".join(sorted(resources)) or "nothing, until a phone is connected"
    console.print(f"offering {offered}", highlight=False)


def _worker(config: Config, resources: dict[str, int]) -> Any:
    distributed = fleet.require()
    return distributed.Worker(
        config.fleet.scheduler,
        resources=dict(resources),
        nthreads=_THREADS,
        security=fleet.security(config.fleet),
        name=f"{socket.gethostname()}-{os.getpid()}",
        memory_limit=0,  # jobs run in processes of their own
        dashboard=False,
        local_directory=str(night.state_folder(config) / "dask"),
    )


def _configured(arguments: argparse.Namespace) -> Config:
    path = arguments.config.absolute()
    config = configuration.load(path)
    if arguments.scheduler:
        config = replace(config, fleet=replace(config.fleet, scheduler=arguments.scheduler))
        configuration.check(config)
    if not config.fleet.scheduler and not arguments.list:
        raise ConfigurationError(f"{path}: fleet.scheduler is empty; whom to work for?")
    os.environ[CONFIG] = str(path)
    fleet.check_certificates(config.fleet)
    return config


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.worker",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=Path(NAME), metavar="FILE")
    parser.add_argument("--scheduler", metavar="URL", help="instead of the configuration's")
    parser.add_argument("--list", action="store_true", help="list what would be offered, and stop")
    return parser


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Threads whose jobs are under way would hold the process up; nothing is lost with them.
    os._exit(code)
