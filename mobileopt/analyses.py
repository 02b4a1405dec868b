"""Series analysed for change points by several processes, and never twice.

An analysis depends on nothing but its values and the code, so it is kept under a digest of both:
a series that got no result since the last time is not looked at again.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np

from mobileopt import changes
from mobileopt.changes import ChangePoint, SeriesKey
from mobileopt.changes._posterior import Floats, Single
from mobileopt.changes._series import Analysis, Results, analyse
from mobileopt.store import cache as store_cache
from mobileopt.store import files

Job = tuple[Floats, float]
"""Results of a series without holes, and the least effect to be found in it."""

Solved = tuple[Single, Floats]
"""The chance of a jump before each result, and a row for each change point."""

_WORTH_A_PROCESS = 20_000
"""Results, in all: below it starting processes takes longer than the work."""


class Analyses:
    """The `analyse_all` of `find_together` with a file behind it.

    >>> with Analyses(path) as analyses:                                      # doctest: +SKIP
    ...     find_together(series, analyse_all=analyses)

    What was asked for is kept when the block ends, and of the rest no more than as much again.
    `report` is called with how many of how many new series have been analysed. `pool` is of
    `processes`; without one it is begun when there is enough to do.
    """

    def __init__(
        self,
        path: Path,
        report: Callable[[int, int], None] | None = None,
        pool: Pool | None = None,
    ) -> None:
        self._path, self._pool = path, pool
        self._report = report or (lambda done, of: None)
        self._kept = _read(path)
        self._has_news = False
        self._used: dict[bytes, Solved] = {}

    def __enter__(self) -> Analyses:
        return self

    def __exit__(self, *_: object) -> None:
        if self._has_news:
            spare = [key for key in self._kept if key not in self._used][: len(self._used)]
            _write(self._path, {key: self._kept[key] for key in spare} | self._used)

    def __call__(
        self, series: Mapping[SeriesKey, Results], min_effect: float
    ) -> dict[SeriesKey, Analysis]:
        """The analysis of each series; raises InputError for values that cannot have one."""
        arrays = {key: _array(values) for key, values in series.items()}
        digests = {key: _digest(array, min_effect) for key, array in arrays.items()}
        new = {
            digests[key]: array[~np.isnan(array)]
            for key, array in arrays.items()
            if digests[key] not in self._kept
        }
        self._kept |= self._analysed(new, min_effect)
        self._has_news |= bool(new)
        self._used |= {digest: self._kept[digest] for digest in digests.values()}
        return {key: _analysis(arrays[key], *self._kept[digests[key]]) for key in arrays}

    def _analysed(
        self, new: Mapping[bytes, Floats], min_effect: float
    ) -> Iterator[tuple[bytes, Solved]]:
        # The longest first, or the last process works alone.
        jobs = sorted(new.items(), key=lambda job: len(job[1]), reverse=True)
        solved = _run([(values, min_effect) for _, values in jobs], self._pool)
        for done, found in enumerate(solved, 1):
            self._report(done, len(jobs))
            yield jobs[done - 1][0], found


def location(store: Path) -> Path:
    """Where the analyses of a store's series are kept: beside its cache."""
    where = store_cache.location(store)
    return where.with_name(f"changes-{where.stem}.npz")


def processes() -> Pool:
    """Processes for analyses, as many as there are cores; to be used as a context.

    Each holds what this one holds when they are begun: begin them before the results are read.
    """
    # Elsewhere than on Linux a forked process may not use the system's libraries.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    return context.Pool(os.cpu_count() or 1)


def _run(jobs: list[Job], pool: Pool | None) -> Iterator[Solved]:
    if len(jobs) < 2 or sum(len(values) for values, _ in jobs) < _WORTH_A_PROCESS:
        yield from map(_solve, jobs)
    elif pool:
        yield from pool.imap(_solve, jobs)
    else:
        with processes() as own:
            yield from own.imap(_solve, jobs)


def _solve(job: Job) -> Solved:
    """The posterior, and a row of index, before, after and confidence for each change point."""
    values, min_effect = job
    if len(values) and (values == values[0]).all() and values[0] > 0:
        return np.zeros(len(values), np.float32), np.empty((0, 4))
    found = analyse(values, min_effect)
    points = [(each.index, each.before, each.after, each.confidence) for each in found.points]
    return found.jump, np.array(points, float).reshape(-1, 4)


def _analysis(array: Floats, jump: Single, rows: Floats) -> Analysis:
    positions = np.flatnonzero(~np.isnan(array))
    points = (
        ChangePoint(int(positions[int(index)]), float(before), float(after), float(confidence))
        for index, before, after, confidence in rows
    )
    return Analysis(positions, jump, tuple(points))


def _array(values: Results) -> Floats:
    if isinstance(values, np.ndarray):
        return values
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _digest(array: Floats, min_effect: float) -> bytes:
    measured = array[~np.isnan(array)]
    hashed = hashlib.blake2b(measured.tobytes(), digest_size=16, key=_code())
    hashed.update(repr(min_effect).encode())
    return hashed.digest()


@cache
def _code() -> bytes:
    """What tells this detector from another: its source."""
    hashed = hashlib.blake2b(digest_size=32)
    for path in sorted(Path(changes.__file__).parent.glob("*.py")):
        hashed.update(path.read_bytes())
    return hashed.digest()


def _read(path: Path) -> dict[bytes, Solved]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            jumps = np.split(stored["jumps"], np.cumsum(stored["lengths"])[:-1])
            points = np.split(stored["points"], np.cumsum(stored["counts"])[:-1])
            keys = [bytes(key) for key in stored["keys"].reshape(-1, 16)]
            return dict(zip(keys, zip(jumps, points, strict=True), strict=True))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return {}


def _write(path: Path, content: Mapping[bytes, Solved]) -> None:
    arrays: dict[str, Any] = {
        "keys": np.frombuffer(b"".join(content), np.uint8),
        "lengths": np.array([len(jump) for jump, _ in content.values()]),
        "counts": np.array([len(points) for _, points in content.values()]),
        "jumps": np.concatenate([jump for jump, _ in content.values()]),
        "points": np.concatenate([points for _, points in content.values()]),
    }
    files.keep(path, lambda file: np.savez(file, **arrays))
