"""What is said of the changes one commit made: sentences, figures, where to look, how to repeat.

Plain texts, nothing escaped: `mobileopt.nightly.writing` turns them into markdown and into mail.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from mobileopt.gate.finding import DISAGREEMENT, NOISE, PASS_TIME, SIZE
from mobileopt.nightly.report import Change
from mobileopt.report.units import quantity

HEADINGS = (
    "variant", "metric", "machine", "before", "after", "change", "interval", "confidence",
)  # fmt: skip
ROWS = 20
"""Changes of one commit that are listed; the rest is counted."""

_MANY = 10  # commits of a range, and sentences about one commit
_SMALL = 1.1  # ratios below are told in percent
_WORDS = {
    SIZE: ("as large", "larger", "smaller"),
    NOISE: ("as inexact", "less exact", "more exact"),
    DISAGREEMENT: ("as often wrong", "more often wrong", "less often wrong"),
}
_OF_TIME = ("as slow", "slower", "faster")
_TIMED = ("latency.", "device.")


@dataclass(frozen=True)
class Claim:
    """What one commit did, or one of several.

    `title` names the commits, `who` the author and date, one line each; `sentences` say what
    became of what, `rows` have one text for each of HEADINGS, `more` is how many were left out.
    `graph` is the address of the largest change's history, empty without a site, and `again`
    the commands that measure it once more.
    """

    title: str
    who: tuple[str, ...]
    sentences: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int
    graph: str
    again: tuple[str, ...]


def claims(changes: Iterable[Change], machines: Iterable[str], site: str) -> list[Claim]:
    """The changes by commit; `machines` took part in the night, `site` is the site's address."""
    groups: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        hashes = tuple(each.hash for each in change.candidates) or (change.parent,)
        groups.setdefault(hashes, []).append(change)
    names = frozenset(machines)
    return [_claim(group, names, site) for group in groups.values()]


def _claim(changes: Sequence[Change], machines: frozenset[str], site: str) -> Claim:
    ordered = sorted(changes, key=lambda each: (each.variant, each.metric, each.machine))
    title, *who = culprit(changes[0])
    largest = max(changes, key=_extent)
    return Claim(
        title,
        tuple(who),
        tuple(_sentences(ordered, machines)),
        tuple(map(_row, ordered[:ROWS])),
        max(0, len(ordered) - ROWS),
        graph(largest, site),
        again(largest),
    )


def _extent(change: Change) -> float:
    """How large a change is, the same for both directions."""
    return abs(math.log(change.ratio)) if change.ratio else math.inf


def culprit(change: Change) -> list[str]:
    """Lines that name the commit, or the commits one of which it was."""
    found = change.candidates
    if len(found) == 1:
        commit = found[0]
        by = f"by {commit.author}, {commit.date:%Y-%m-%d %H:%M %z}"
        return [f"{commit.short} {commit.subject}", by]
    if not found:
        return ["a commit that is no longer in the repository", f"after {change.parent[:8]}"]
    lines = [f"one of {len(found)} commits, {found[0].short} to {found[-1].short}"]
    lines += [f"- {each.short} {each.subject}" for each in found[:_MANY]]
    return lines + ([f"- and {len(found) - _MANY} more"] if len(found) > _MANY else [])


def _sentences(changes: Sequence[Change], machines: frozenset[str]) -> list[str]:
    """One for each variant and metric, the largest change first."""
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        groups.setdefault((change.variant, change.metric), []).append(change)
    largest = sorted(groups.values(), key=lambda group: -max(map(_extent, group)))
    told = [_sentence(group, machines) for group in largest[:_MANY]]
    return told + ([f"and {len(groups) - _MANY} more"] if len(groups) > _MANY else [])


def _sentence(group: Sequence[Change], machines: frozenset[str]) -> str:
    first, where = group[0], {each.machine for each in group}
    # What is no artifact's time is looked at on hosts alone: of how many machines, nobody knows.
    count = len(where | machines) if first.metric.startswith(_TIMED) else len(where)
    places = f"{len(where)} of {count} machines" if count > 1 else first.machine
    return f"made {_what(first)} {_how_much(group)} on {places}"


def _what(change: Change) -> str:
    model, _, name = change.variant.partition("/")
    return f"the pass {name} on {model}" if change.metric == PASS_TIME else f"{name} of {model}"


def _how_much(group: Sequence[Change]) -> str:
    """``1.3 times as slow``, ``4.2% larger``, ``1.2 to 1.4 times as slow``."""
    times, more, less = _WORDS.get(group[0].metric, _OF_TIME)
    ratios = sorted({each.ratio for each in group})
    if math.isinf(ratios[-1]):
        return f"{more}, from nothing"
    if ratios[0] < 1 or ratios[-1] < _SMALL:
        least, most = sorted(abs(ratio - 1) for ratio in (ratios[0], ratios[-1]))
        numbers = dict.fromkeys((f"{least:.1%}", f"{most:.1%}"))
        return f"{' to '.join(numbers)} {more if group[0].worse else less}"
    numbers = dict.fromkeys((f"{ratios[0]:.3g}", f"{ratios[-1]:.3g}"))
    return f"{' to '.join(numbers)} times {times}"


def _row(change: Change) -> tuple[str, ...]:
    values = (quantity(each, change.unit) for each in (change.before, change.after))
    sure = "certain" if change.confidence == 1 else f"at least {change.confidence:.1%}"
    where = (change.variant, change.metric, change.machine)
    return (*where, *values, change.size, change.interval or "exact", sure)


def graph(change: Change, site: str) -> str:
    """The address of a change's history on the site's page of series; empty without a site."""
    if not site:
        return ""
    model, _, name = change.variant.partition("/")
    other = "optimization" if change.metric == PASS_TIME else "recipe"
    chosen = {
        "benchmark": change.metric,
        "machine": change.machine,
        "p-model": repr(model),  # as asv writes parameters
        f"p-{other}": repr(name),
    }
    asked = "&".join(f"{key}={quote(value, safe='')}" for key, value in chosen.items())
    return f"{site.rstrip('/')}/index.html#/series?{asked}"


def again(change: Change) -> tuple[str, ...]:
    """The commands that measure a change once more where it was seen."""
    model, _, name = change.variant.partition("/")
    commit = change.candidates[-1].short if change.candidates else ""
    if not commit:
        return ()
    if change.on_phone:
        word = shlex.quote(change.machine)
        only = f"--model {shlex.quote(model)} --recipe {shlex.quote(name)}"
        collect = f"python -m tools.collect --redo --device {word} {only} --commit"
        return (f"{collect} {change.parent[:8]}", f"{collect} {commit}")
    models, name = shlex.quote(model), shlex.quote(name)
    what = f"--models {models} --recipes {name} --passes"
    if change.metric == PASS_TIME:
        what = f"--recipes --passes {name} --pass-models {models}"
    return (f"mobileopt check --base {change.parent[:8]} --head {commit} {what}",)
