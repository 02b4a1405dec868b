"""What is checked of a `nightly.toml` before a night: else it would be found out at three o'clock.

A mistake in the configuration must not be taken for a commit that gives no results.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mobileopt import models, recipes, runners
from mobileopt.effort import ALPHA
from mobileopt.errors import ConfigurationError, InputError, UnknownNameError
from mobileopt.estimators import smallest_sample
from mobileopt.variant import Variant

if TYPE_CHECKING:
    from mobileopt.nightly.config import Confirm, Fleet, Mail, Phones, Webhook

_SERIAL = re.compile(r"[!-~]{1,100}")
_WHEN = ("regression", "undecided", "always")
_SETS = ("quick", "all")


def check_telling(webhook: Webhook, mail: Mail) -> None:
    """Whom to tell, and how; raises ConfigurationError or UnknownNameError."""
    for name, given in (("webhook", webhook.when), ("mail", mail.when)):
        _one_of(f"{name}.when", given, _WHEN)
    _one_of("mail.security", mail.security, ("none", "starttls", "tls"))
    if mail.to and not mail.sender:
        raise ConfigurationError("mail.to is given and mail.sender is not; mail comes from someone")
    if mail.user and mail.security == "none":
        raise ConfigurationError(
            'mail.user is given and mail.security is "none", which would send the password in '
            'clear; it is "starttls" or "tls"'
        )
    if webhook.url and not _is_address(webhook.url):
        raise ConfigurationError(f"webhook.url is {webhook.url!r}; it is an http(s) address")


def check_fleet(fleet: Fleet) -> None:
    """Where the scheduler is, and what to show it; raises ConfigurationError."""
    if not fleet.scheduler:
        return
    if not re.fullmatch(r"(tcp|tls)://[^/\s]+:\d+", fleet.scheduler):
        raise ConfigurationError(
            f"fleet.scheduler is {fleet.scheduler!r}; it is tcp://host:port or tls://host:port"
        )
    if fleet.scheduler.startswith("tls:"):
        for name in ("ca", "certificate", "private_key"):
            if not (path := getattr(fleet, name)):
                raise ConfigurationError(f"fleet.{name} is missing; tls:// needs all three files")
            _check_file(f"fleet.{name}", Path(path))


def check_benchmarks(benchmarks: str) -> None:
    """What to run on a host; raises ConfigurationError or UnknownNameError."""
    if benchmarks not in _SETS and get_close_matches(benchmarks, _SETS, n=1, cutoff=0.8):
        raise UnknownNameError("value of host.benchmarks", benchmarks, _SETS)
    try:
        re.compile(benchmarks)
    except re.error as error:
        raise ConfigurationError(
            f"host.benchmarks is {benchmarks!r}, no regular expression: {error}"
        ) from error


def check_phones(phones: Phones, root: Path) -> None:
    """Serials, programs and variants; raises ConfigurationError or UnknownNameError."""
    for serial in phones.serials:
        if not _SERIAL.fullmatch(serial):
            raise ConfigurationError(f"phones.serials has {serial!r}, which is no serial")
    if twice := _first_twice(phones.serials):
        raise ConfigurationError(f"phones.serials has {twice!r} twice")
    for program in phones.programs:
        runner, path = named(program)
        if runner:
            _one_of("a runner in phones.programs", runner, runners.names())
        _check_file("phones.programs", root / path)
    for variant in phones.variants:
        _check_variant(variant)


def check_confirm(confirm: Confirm) -> None:
    """Whether a session can decide anything; raises ConfigurationError."""
    rounds, needed = confirm.launches * confirm.rounds, smallest_sample(ALPHA / confirm.most)
    if rounds < needed:
        raise ConfigurationError(
            f"confirm.launches times confirm.rounds is {rounds}; to decide on {confirm.most} "
            f"suspicions (confirm.most) it takes {needed}"
        )


def named(program: str) -> tuple[str, str]:
    """Runner, empty if it is not named, and path of ``[RUNNER=]PATH``."""
    name, equals, rest = program.partition("=")
    return (name, rest) if equals and name.isidentifier() else ("", program)


def _check_variant(text: str) -> None:
    try:
        variant = Variant.parse(text)
        _one_of("a model in phones.variants", variant.model, models.names())
        recipes.check(variant.recipe)
    except UnknownNameError:
        raise
    except InputError as error:
        raise ConfigurationError(f"phones.variants has {text!r}: {error}") from error


def _check_file(where: str, path: Path) -> None:
    if path.is_file():
        return
    beside = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, beside, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    raise ConfigurationError(f"{where} has {str(path)!r}, which is no file{hint}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # asking for the port checks it
    except ValueError:
        return False
    empty = parts.netloc.endswith(":")
    odd = any(c.isspace() or not c.isprintable() for c in url)
    return parts.scheme in ("http", "https") and bool(host) and not empty and not odd


def _first_twice(values: Sequence[str]) -> str:
    return next((each for each in values if values.count(each) > 1), "")


def _one_of(where: str, given: str, allowed: Sequence[str]) -> None:
    if given not in allowed:
        raise UnknownNameError(f"value of {where}", given, allowed)
