"""What a night has to say, as one value; `mobileopt.nightly.writing` puts it into files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from mobileopt import history
from mobileopt.commits import Commit
from mobileopt.effort import ALPHA
from mobileopt.nightly.suspects import Suspect

Level = Literal["regression", "undecided", "nothing"]
EXIT_CODES: Mapping[Level, int] = {"nothing": 0, "regression": 1, "undecided": 2}


@dataclass(frozen=True)
class Change:
    """A change that was measured again and found real; `new` until a report has told it.

    One of `candidates` made it, oldest first. `before` and `after` are the levels of its history
    in `unit`. `ratio` is after over before as the second look measured it, from `low` to `high`
    at level `1 - alpha`, and `confidence` bounds from below the probability that the search went
    right. `accepted` is the reason for which somebody accepted it, if anybody did.
    """

    id: str
    machine: str
    metric: str
    unit: str
    variant: str
    worse: bool
    candidates: tuple[Commit, ...]
    parent: str
    ratio: float
    low: float
    high: float
    how: str
    sentence: str
    confidence: float
    before: float
    after: float
    found_at: float
    new: bool
    accepted: str = ""
    on_phone: bool = False
    alpha: float = ALPHA

    @classmethod
    def of(
        cls, record: Mapping[str, Any], known: Mapping[str, Commit], *, new: bool, accepted: str
    ) -> Change:
        """From the ledger's record and what git knows of the commits."""
        plain = ("id", "machine", "metric", "unit", "variant", "worse", "parent", "how")
        numbers = ("low", "confidence", "before", "after")
        return cls(
            **{name: record[name] for name in (*plain, *numbers, "sentence")},
            # JSON has no infinity.
            ratio=math.inf if record["ratio"] is None else record["ratio"],
            high=math.inf if record["high"] is None else record["high"],
            candidates=tuple(known[c] for c in record["candidates"] if c in known),
            found_at=float(record["at"]),
            new=new,
            accepted=accepted,
            # A phone's results are filed under an environment of their own, which a series names.
            on_phone=" phone-" in record["series"],
            alpha=record.get("alpha", ALPHA),
        )

    @property
    def size(self) -> str:
        """``+12.3 %``, or how many times as much."""
        if math.isinf(self.ratio) or not self.before:
            return "from nothing"
        return f"{self.ratio - 1:+.1%}" if self.ratio < 10 else f"{self.ratio:.1f} times"

    @property
    def interval(self) -> str:
        """``+10.1% to +14.0% (99.9%)``, with its level; empty for a number without noise."""
        if self.how == "exact":
            return ""
        return f"{self.low - 1:+.1%} to {self.high - 1:+.1%} ({100 * (1 - self.alpha):.4g}%)"


@dataclass(frozen=True)
class Row:
    """A machine: how many commits it measured tonight, and whether it has the newest.

    `note` says why it was not used: that it is in quarantine, or not here.
    """

    machine: str
    measured: int
    has_tip: bool
    note: str = ""


@dataclass(frozen=True)
class Report:
    """The whole night. `undecided`, `refuted` and `given_up`, which no session of several nights
    could decide, are suspicions with a reason each; `seen` are changes of histories that cannot
    be measured again. `site` is the folder of the published site, `address` where it is served
    from, empty if nowhere."""

    title: str
    started: datetime
    ended: datetime
    tip: str
    subject: str
    machines: tuple[Row, ...]
    changes: tuple[Change, ...] = ()
    undecided: tuple[tuple[Suspect, str], ...] = ()
    refuted: tuple[tuple[Suspect, str], ...] = ()
    given_up: tuple[tuple[Suspect, str], ...] = ()
    seen: tuple[history.Change, ...] = ()
    left: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    site: str = ""
    address: str = ""

    @property
    def regressions(self) -> tuple[Change, ...]:
        """What became worse, was not told before and is not accepted."""
        return tuple(e for e in self.changes if e.worse and e.new and not e.accepted)

    @property
    def accepted(self) -> tuple[Change, ...]:
        """What became worse and is accepted."""
        return tuple(each for each in self.changes if each.worse and each.accepted)

    @property
    def improvements(self) -> tuple[Change, ...]:
        """What became better and was not told before."""
        return tuple(each for each in self.changes if not each.worse and each.new)

    @property
    def known(self) -> tuple[Change, ...]:
        """What became worse in recent commits and was told already."""
        return tuple(e for e in self.changes if e.worse and not e.new and not e.accepted)

    @property
    def doubted(self) -> tuple[Suspect, ...]:
        """What may have become worse and could not be decided; improvements can wait."""
        return tuple(suspect for suspect, _ in self.undecided if suspect.worse)

    @property
    def level(self) -> Level:
        """The worst of what the night found."""
        if self.regressions:
            return "regression"
        nobody = not self.machines
        lacks_tip = any(not row.has_tip for row in self.machines)
        if self.doubted or nobody or lacks_tip:
            return "undecided"
        return "nothing"

    @property
    def exit_code(self) -> int:
        """0 nothing new, 1 a confirmed regression, 2 could not tell."""
        return EXIT_CODES[self.level]

    @property
    def headline(self) -> str:
        """One sentence."""
        if count := len(self.regressions):
            first = (each.candidates[0].hash if each.candidates else each.parent
                     for each in self.regressions)  # fmt: skip
            commits = set(first)
            return f"{_count(count, 'regression')} from {_count(len(commits), 'commit')}"
        if self.doubted:
            return f"{_count(len(self.doubted), 'suspicion')} could not be decided"
        if self.level == "undecided":
            who = "not every" if any(row.has_tip for row in self.machines) else "no"
            return f"could not tell: {who} machine has measured the newest commit{self._resting}"
        if count := len(self.given_up):
            return f"nothing is known to be slower; {_count(count, 'suspicion')} given up"
        return "nothing became slower"

    @property
    def _resting(self) -> str:
        names = [row.machine for row in self.machines if row.note.startswith("in quarantine")]
        return f", {', '.join(names)} in quarantine" if names else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
