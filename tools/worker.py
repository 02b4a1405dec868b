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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mobileopt.errors import ConfigurationError, InputError, MobileoptError
from mobileopt.nightly import config as configuration
from mobileopt.nightly import fleet, lock, night, orphans
from mobileopt.nightly.config import NAME, Config
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


def main(argv: Sequence[str] | None = None) -> int:
    """The command; runs until SIGTERM or Ctrl-C."""
    arguments = _parser().parse_args(argv)
    console = Console(stderr=True)
    try:
        config = _configured(arguments)
        with contextlib.chdir(config.repository_path):
            resources = {each.resource: 1 for each in _night_worker.machines()}
            if arguments.list:
                print("\n".join(sorted(resources)))
                return 0
            serve(config, resources, console)
    except MobileoptError as error:
        print(f"worker: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        pass
    return 0


def serve(config: Config, resources: dict[str, int], console: Console) -> None:
    """Work for the scheduler until stopped; a scheduler that is lost is looked for again.

    Raises InputError without any machine, and OutputError when a worker runs here already.
    """
    if not resources:
        raise InputError("there is no machine to offer: host.enabled and phones.enabled are off")
    with lock.held(night.prepare(config)):
        orphans.adopt(night.state_folder(config))
        asyncio.run(_serve(config, resources, console))
        orphans.adopt(night.state_folder(config))


async def _serve(config: Config, resources: dict[str, int], console: Console) -> None:
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
            console.print(f"offering {', '.join(sorted(resources))}", highlight=False)
            ended = asyncio.create_task(worker.finished())
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            # A job under way is not waited for: it writes its result down for the next try.
            await worker.close(timeout=2, executor_wait=False)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _AGAIN)


def _worker(config: Config, resources: dict[str, int]) -> Any:
    distributed = fleet.require()
    return distributed.Worker(
        config.fleet.scheduler,
        resources=resources,
        nthreads=len(resources) + 1,
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
        from dataclasses import replace

        config = replace(config, fleet=replace(config.fleet, scheduler=arguments.scheduler))
        configuration.check(config)
    if not config.fleet.scheduler and not arguments.list:
        raise ConfigurationError(f"{path}: fleet.scheduler is empty; whom to work for?")
    os.environ[CONFIG] = str(path)
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
