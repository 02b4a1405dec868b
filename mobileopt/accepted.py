"""Worsenings somebody looked at and accepted, with a reason and a date: `mobileopt-accepted.toml`.

    [[accepted]]
    metric = "size.track_artifact"          # * stands for anything, here and in the variant
    variant = "mobilenet_v2/fused-float-nhwc-mobile"
    up_to = 1.02                            # new over old; more than this is not accepted
    reason = "carries its own preprocessing now"
    expires = 2027-06-30                    # the last day it holds
    commit = "3f2a91c0"                     # optional: this commit's change alone
    machine = "pixel-8"                     # optional: on this machine alone

The file belongs to the repository and is reviewed like code. An entry that has expired accepts
nothing, and one whose names match nothing is reported with the nearest there are.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from mobileopt import commits
from mobileopt.errors import InputError, UnknownNameError

FILE = "mobileopt-accepted.toml"
_REQUIRED = ("metric", "variant", "up_to", "reason", "expires")
_OPTIONAL = ("commit", "machine")


@dataclass(frozen=True)
class Accepted:
    """One entry: a worsening of `metric` on `variant` up to the ratio `up_to`, new over old.

    `variant` is a variant's name, or a model and an optimization, ``mobilenet_v2/fx``, for the
    time of a pass.
    """

    metric: str
    variant: str
    up_to: float
    reason: str
    expires: date
    commit: str | None = None
    machine: str | None = None

    def covers(
        self,
        metric: str,
        variant: str,
        ratio: float,
        *,
        commits: Iterable[str] = (),
        machine: str | None = None,
        today: date | None = None,
    ) -> bool:
        """Whether it accepts this worsening, brought by one of `commits` on `machine`."""
        if (today or date.today()) > self.expires or ratio > self.up_to:
            return False
        if self.machine is not None and machine != self.machine:
            return False
        if self.commit is not None and not any(each.startswith(self.commit) for each in commits):
            return False
        return fnmatchcase(metric, self.metric) and fnmatchcase(variant, self.variant)

    def to_toml(self) -> str:
        """The entry as it stands in the file."""
        fields: dict[str, str] = {
            "metric": _text(self.metric),
            "variant": _text(self.variant),
            "up_to": "inf" if math.isinf(self.up_to) else f"{self.up_to:.6g}",
            "reason": _text(self.reason),
            "expires": self.expires.isoformat(),
        }
        extra = {"commit": self.commit, "machine": self.machine}
        fields |= {key: _text(value) for key, value in extra.items() if value is not None}
        return "\n".join(["[[accepted]]", *(f"{key} = {text}" for key, text in fields.items())])


def read(path: Path) -> tuple[Accepted, ...]:
    """The entries of a file; none when there is no such file.

    Raises InputError for a file that is not TOML, and for an entry that lacks something, has a
    key that does not exist, or a value of another type, naming the entry.
    """
    try:
        return _entries(path.read_bytes(), str(path))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def committed(repository: Path, name: str) -> tuple[Accepted, ...]:
    """The entries of a repository's file as of a commit or branch, whatever is checked out.

    Raises InputError as `read` does, and for a name that is no commit.
    """
    content = commits.content(repository, name, FILE)
    return () if content is None else _entries(content, f"{FILE} of {name}")


def problems(
    entries: Sequence[Accepted],
    metrics: Sequence[str],
    variants: Sequence[str],
    today: date | None = None,
) -> list[str]:
    """A sentence for each entry that has expired or whose names match none of those there are."""
    told: list[str] = []
    for at, entry in enumerate(entries, start=1):
        name = f"accepted entry {at} ({entry.metric} of {entry.variant})"
        if (today or date.today()) > entry.expires:
            told.append(f"{name} expired on {entry.expires} and accepts nothing any more")
        for what, pattern, known in (
            ("metric", entry.metric, metrics),
            ("variant", entry.variant, variants),
        ):
            if not any(fnmatchcase(each, pattern) for each in known):
                told.append(f"{name}: {_unknown(what, pattern, known)}")
    return told


def _entries(content: bytes, where: str) -> tuple[Accepted, ...]:
    try:
        document: dict[str, Any] = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{where} cannot be read as TOML: {error}") from error
    entries = document.pop("accepted", [])
    if document:
        raise UnknownNameError(f"table in {where}", next(iter(document)), ["accepted"])
    if not isinstance(entries, list):
        raise InputError(f"{where}: accepted is a list of tables, written [[accepted]]")
    found = cast(list[Any], entries)
    return tuple(_entry(f"{where}, entry {at}", each) for at, each in enumerate(found, start=1))


def _unknown(what: str, pattern: str, known: Sequence[str]) -> str:
    sentence = str(UnknownNameError(what, pattern, known))
    # A list of every variant there is would bury the hint.
    return sentence.partition("? Known:")[0] + "?" if "did you mean" in sentence else (
        f"unknown {what} {pattern!r}; it matches nothing there is"
    )  # fmt: skip


def _entry(where: str, table: Any) -> Accepted:
    if not isinstance(table, dict):
        raise InputError(f"{where} is {table!r}, not a table")
    fields = cast(dict[str, Any], table)
    for key in fields:
        if key not in (*_REQUIRED, *_OPTIONAL):
            raise UnknownNameError(f"key in {where}:", key, (*_REQUIRED, *_OPTIONAL))
    if missing := [key for key in _REQUIRED if key not in fields]:
        raise InputError(f"{where} lacks {', '.join(missing)}")
    _check_texts(where, fields)
    up_to, expires = fields["up_to"], fields["expires"]
    if not isinstance(up_to, int | float) or isinstance(up_to, bool) or not up_to >= 1:
        raise InputError(f"{where}: up_to is {up_to!r}, not a ratio of at least 1, new over old")
    if not isinstance(expires, date) or isinstance(expires, datetime):
        raise InputError(f"{where}: expires is {expires!r}, not a date as 2027-06-30")
    values: dict[str, Any] = fields | {"up_to": float(up_to)}
    return Accepted(**values)


def _check_texts(where: str, fields: Mapping[str, Any]) -> None:
    for key in ("metric", "variant", "reason", *(set(_OPTIONAL) & fields.keys())):
        if not isinstance(fields[key], str) or not fields[key].strip():
            raise InputError(f"{where}: {key} is {fields[key]!r}, not a text")


def _text(value: str) -> str:
    # A JSON string without escaped surrogates is a TOML basic string.
    return json.dumps(value, ensure_ascii=False)
