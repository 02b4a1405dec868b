"""How often a comparison errs and how often it finds what is there.

    python -m benchmarks.verdicts.comparison                   both parts, about ten minutes
    python -m benchmarks.verdicts.comparison --part simulation
    python -m benchmarks.verdicts.comparison --part machine --minutes 8 --neighbours 2 --keep runs
    python -m benchmarks.verdicts.comparison --recorded runs/neighbours-2.jsonl

The machine's part measures two processes that differ by an exactly known amount of work, with
and without busy neighbours. Its launches are judged as they came, cut into sessions of 5 and
30 s of measured work, and in sessions drawn from them with replacement.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.verdicts import noise, pairs
from mobileopt.compare import Comparison, compare
from mobileopt.effort import Look, schedule
from mobileopt.rounds import Rounds

Item = TypeVar("Item")

LAUNCH = 0.2
"""Seconds of measured work in one launch: 5 s are 25 of them, 30 s are 150."""

SESSIONS = {5: 0.01, 30: 0.005}
"""Seconds of measured work, and the threshold asked of such a session."""

BARS = (
    ("slower under no change, 5 s and 30 s", "at most 1 %", (5, 30), 0.0, "slower"),
    ("2 % called in 5 s", "at least 95 %", (5,), 0.02, "slower"),
    ("1 % called in 30 s", "at least 90 %", (30,), 0.01, "slower"),
)
"""What, how much is asked, the sessions' seconds, the true slowdown, the verdict counted."""

_ORIGINS = ("as they came", "drawn")
Answers = dict[tuple[int, str], dict[float, Counter[str]]]
"""By a session's seconds and origin: by the true slowdown, how often there was which verdict."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables as markdown; 0 when all was measured."""
    options = _options(argv)
    if options.recorded:
        for file in options.recorded:
            _judge(file.stem, pairs.read(file), options.sessions)
        return 0
    if options.part in ("both", "simulation"):
        _simulate(options.sessions)
    if options.part in ("both", "machine"):
        for count in options.neighbours:
            launches = _record(60 * options.minutes, count, pin=not options.free)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                pairs.write(options.keep / f"neighbours-{count}.jsonl", launches)
            _judge(f"{count} busy neighbours", launches, options.sessions)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts.comparison",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--part", choices=["both", "simulation", "machine"], default="both")
    parser.add_argument("--sessions", type=int, default=200, help="sessions a cell (200)")
    parser.add_argument("--minutes", type=float, default=4, help="of measuring a setting (4)")
    parser.add_argument("--neighbours", type=int, nargs="+", default=[0, 2], help="(0 2)")
    parser.add_argument("--free", action="store_true", help="do not pin a pair to one core")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write all samples there")
    parser.add_argument("--recorded", type=Path, nargs="+", metavar="FILE", help="judge these")
    return parser.parse_args(argv)


# --- simulation -----------------------------------------------------------------------------


def _simulate(sessions: int) -> None:
    shapes = {"4 x 48": (4, 48, 0.01), "24 x 8": (24, 8, 0.01), "144 x 8": (144, 8, 0.005)}
    rows: list[list[str]] = []
    jobs = [(name, shape) for name in noise.MODELS for shape in shapes]
    for name, shape in _track(jobs, "simulating"):
        *size, threshold = shapes[shape]
        for grouped in (False, True):
            cells = [
                Counter(_simulated(name, slowdown, size, threshold, grouped, count))
                for slowdown, count in ((0.0, 4 * sessions), (0.01, sessions), (0.02, sessions))
            ]
            rows.append([name, shape, "launches" if grouped else "rounds", *_cells(cells)])
    print(
        f"\n### Simulated sessions, {sessions} a cell and {4 * sessions} without a change, in %\n"
    )
    _table(["noise", "launches x rounds", "what repeats", *_HEAD], rows)
    print(f"\n### Looking {len(schedule(144))} times at 144 launches x 8 rounds, in %\n")
    rows = [_looked(name, sessions) for name in _track(noise.MODELS, "looking")]
    _table(["noise", "false, planned", "false, unplanned", "time used at 0", "at 5 %"], rows)


def _simulated(
    name: str, slowdown: float, size: Sequence[int], threshold: float, grouped: bool, sessions: int
) -> Iterator[str]:
    launches = np.repeat(np.arange(size[0]), size[1]).tolist() if grouped else None
    for seed in range(sessions):
        a, b = noise.session(name, slowdown, size[0], size[1], np.random.default_rng(seed))
        yield _word(compare(a, b, threshold=threshold, launches=launches))


def _looked(name: str, sessions: int) -> list[str]:
    """False verdicts with planned looks and with as many unplanned ones; the time they used."""
    looks = schedule(144)
    false = {True: 0, False: 0}
    used: dict[float, list[int]] = {0.0: [], 0.05: []}
    for slowdown, seed in ((s, n) for s in used for n in range(sessions)):
        a, b = noise.session(name, slowdown, 144, 8, np.random.default_rng(seed))
        for planned in (True, False):
            launches, verdict = _first_verdict(a, b, looks, planned)
            if slowdown == 0:
                false[planned] += verdict in ("slower", "faster")
            if planned:
                used[slowdown].append(launches)
    share = [f"{100 * np.mean(each) / looks[-1]:.0f}" for each in used.values()]
    return [name, *(f"{100 * false[p] / sessions:.1f}" for p in (True, False)), *share]


def _first_verdict(a: Rounds, b: Rounds, looks: Sequence[int], planned: bool) -> tuple[int, str]:
    for number, count in enumerate(looks, start=1):
        rounds = 8 * count
        found = compare(
            a[:rounds],
            b[:rounds],
            threshold=0.005,
            launches=np.repeat(np.arange(count), 8).tolist(),
            look=Look(number, of=len(looks)) if planned else Look(),
        )
        if found.verdict != "unclear":
            return count, found.verdict
    return looks[-1], "unclear"


# --- this machine ---------------------------------------------------------------------------


def _record(seconds: float, busy: int, *, pin: bool) -> list[list[pairs.Pair]]:
    rng, start = random.Random(), time.monotonic()  # noqa: S311 - an order, not a secret
    launches: list[list[pairs.Pair]] = []
    console = Console(stderr=True)
    with pairs.neighbours(busy), console.status("") as status:
        while (spent := time.monotonic() - start) < seconds:
            status.update(
                f"{busy} neighbours: {len(launches)} launches, {spent:.0f}/{seconds:.0f} s"
            )
            launches.append(pairs.launch(LAUNCH, rng, pin=pin))
    return launches


def _judge(title: str, launches: list[list[pairs.Pair]], sessions: int) -> None:
    slowdowns = sorted({each.slowdown for each in launches[0]})
    rows: list[list[str]] = []
    answered: Answers = {}
    ways = [(seconds, drawn) for seconds in SESSIONS for drawn in (False, True)]
    for seconds, drawn in _track(ways, "judging"):
        size = round(seconds / LAUNCH)
        chosen = list(_drawn(launches, size, sessions) if drawn else _cut(launches, size))
        if not chosen:
            continue  # too few launches were recorded for one such session
        origin = _ORIGINS[drawn]
        for clock, grouped in (("cpu", True), ("cpu", False), ("wall", True)):
            ask = (SESSIONS[seconds], clock, grouped)
            cells = [Counter(_word(_compared(c, s, *ask)) for c in chosen) for s in slowdowns]
            what = "launches" if grouped else "rounds"
            row = [f"{seconds} s", f"{len(chosen)} {origin}", clock, what]
            rows.append([*row, *_cells(cells)])
            if (clock, grouped) == ("cpu", True):
                answered[seconds, origin] = dict(zip(slowdowns, cells, strict=True))
    print(f"\n### {title}: {len(launches)} launches, in %\n\n{_description(launches)}\n")
    found = [f"found {s:.0%}" for s in slowdowns[1:]]
    _table(["session", "sessions", "clock", "what repeats", *_HEAD[:3], *found], rows)
    print("\nWhat is asked of it, on CPU times with launches as what repeats:\n")
    _table(["bar", "asked", *_ORIGINS], _bars(answered))


def _bars(answered: Answers) -> Iterator[list[str]]:
    """What was asked beside how many sessions of how many answered so."""
    for what, asked, seconds, slowdown, wanted in BARS:
        row = [what, asked]
        for origin in _ORIGINS:
            cells = [
                answered[each, origin][slowdown]
                for each in seconds
                if slowdown in answered.get((each, origin), {})
            ]
            count = sum(cell[wanted] for cell in cells)
            row.append(f"{count} of {sum(cell.total() for cell in cells)}")
        yield row


def _cut(launches: list[list[pairs.Pair]], size: int) -> Iterator[list[list[pairs.Pair]]]:
    for start in range(0, len(launches) - size + 1, size):
        yield launches[start : start + size]


def _drawn(
    launches: list[list[pairs.Pair]], size: int, sessions: int
) -> Iterator[list[list[pairs.Pair]]]:
    rng = random.Random(0)  # noqa: S311 - a draw, not a secret
    for _ in range(sessions):
        yield rng.choices(launches, k=size)


def _compared(
    launches: list[list[pairs.Pair]], slowdown: float, threshold: float, clock: str, grouped: bool
) -> Comparison:
    kept = [(n, p) for n, each in enumerate(launches) for p in each if p.slowdown == slowdown]
    return compare(
        [[p.wall_a] for _, p in kept],
        [[p.wall_b] for _, p in kept],
        threshold=threshold,
        cpu=([[p.cpu_a] for _, p in kept], [[p.cpu_b] for _, p in kept])
        if clock == "cpu"
        else None,
        launches=[number for number, _ in kept] if grouped else None,
    )


def _description(launches: list[list[pairs.Pair]]) -> str:
    every = [pair for each in launches for pair in each]
    cpu = np.array([pair.cpu_a for pair in every])
    stretch = np.array([pair.wall_a / pair.cpu_a for pair in every])
    low, middle, high = 1000 * np.quantile(cpu, [0.05, 0.5, 0.95])
    return (
        f"A sample takes {middle:.1f} ms of CPU time (5th and 95th percentile {low:.1f} and "
        f"{high:.1f}); {(stretch >= 1.02).mean():.0%} are interrupted, the median wall time is "
        f"{np.median(stretch):.2f} times the CPU time."
    )


# --- tables ---------------------------------------------------------------------------------

_HEAD = ["false", "same at 0", "broken at 0", "found 1%", "found 2%"]


def _word(found: Comparison) -> str:
    return found.verdict if found.session.sound else "broken"


def _cells(cells: Sequence[Counter[str]]) -> list[str]:
    """The first counter is of sessions without a change, the others of slower ones."""
    null, *slower = cells
    counts = [(null, null["slower"] + null["faster"]), (null, null["same"]), (null, null["broken"])]
    counts += [(cell, cell["slower"]) for cell in slower]
    return [f"{100 * count / cell.total():.1f}" for cell, count in counts]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print(f"| {' | '.join(head)} |")
    print("|" + "---|" * len(head))
    for row in rows:
        print(f"| {' | '.join(row)} |")


def _track(items: Iterable[Item], what: str) -> Iterable[Item]:
    return track(list(items), what, console=Console(stderr=True), transient=True)


if __name__ == "__main__":
    sys.exit(main())
