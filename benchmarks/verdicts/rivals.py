"""The published detectors `mobileopt.changes.find` is measured against.

Each takes positive results, shape (n,), and returns the index of the first result after each
change. asv and ruptures are called, otava too where it is installed; the windows, E-divisive
and the prototype are written from their descriptions.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import ruptures
from asv.step_detect import detect_regressions, detect_steps
from numpy.lib.stride_tricks import sliding_window_view
from scipy import stats

from benchmarks.verdicts.histories import Floats
from mobileopt import changes

Detector = Callable[[Floats], list[int]]


def mobileopt(values: Floats) -> list[int]:
    """What this project reports."""
    return [point.index for point in changes.find(list(values))]


def asv_steps(values: Floats) -> list[int]:
    """Every border of asv's piecewise constant fit."""
    return [step[0] for step in detect_steps(list(values))[1:]]


def asv_regressions(values: Floats) -> list[int]:
    """asv's regressions page at a threshold of 5 %; it looks for increases only."""
    found = detect_regressions(detect_steps(list(values)), threshold=0.05)[2]  # pyright: ignore[reportArgumentType]  # asv is untyped
    return [after for _, after, _, _ in found or () if after is not None]


def pelt_l2(values: Floats) -> list[int]:
    """Least squares on logarithms with a penalty of 2 sigma^2 log n."""
    x = np.log(values)
    penalty = 2 * math.log(len(x)) * _sigma(x) ** 2
    return _segment(ruptures.KernelCPD(kernel="linear", min_size=2), x, penalty)


def pelt_rbf(values: Floats) -> list[int]:
    """Kernel segmentation, the bandwidth the median's, with a penalty of 2 log n."""
    kernel = ruptures.KernelCPD(kernel="rbf", min_size=3)
    return _segment(kernel, values, 2 * math.log(len(values)))


def mann_whitney(values: Floats) -> list[int]:
    """Rank sums of 12 results against the next 12, p < .001."""
    width = 12
    before, after = _windows(values, width)
    u = (before[:, :, None] > after[:, None, :]).sum((1, 2))
    z = np.abs(u - width**2 / 2) / math.sqrt(width**2 * (2 * width + 1) / 12)
    # Complete separation ties; the wider gap is then the better place.
    gap = np.abs(np.median(after, 1) / np.median(before, 1) - 1)
    return _peaks(z + 1e-6 * gap, float(stats.norm.isf(0.0005)), width)


def welch(values: Floats) -> list[int]:
    """Welch's t of 12 results against the next 12, p < .001."""
    return _peaks(_t(values, 12), float(stats.t.isf(0.0005, 22)), 12)


def student(values: Floats) -> list[int]:
    """Student's t of 7 results against the next 7, t > 7, as Mozilla's Perfherder does."""
    return _peaks(_t(values, 7), 7.0, 7)


def previous_point(values: Floats) -> list[int]:
    """A result 7 % off the one before, TorchBench's rule."""
    ratio = values[1:] / values[:-1]
    return [int(i) + 1 for i in np.flatnonzero((ratio > 1.07) | (ratio < 1 / 1.07))]


def e_divisive(values: Floats) -> list[int]:
    """Matteson and James 2014: energy distance, 99 permutations, p <= .01, 3 results a side."""
    rng = np.random.default_rng(0)
    found: list[int] = []
    spans = [(0, len(values))]
    while spans:
        start, stop = spans.pop()
        part = values[start:stop]
        if len(part) < 8:
            continue
        statistic, at = _energy(part)
        if any(_energy(rng.permutation(part))[0] >= statistic for _ in range(99)):
            continue
        found.append(start + at)
        spans += [(start, start + at), (start + at, stop)]
    return sorted(found)


def prototype(values: Floats) -> list[int]:
    """Kernel segmentation at the noise's bandwidth, then transients dropped and steps verified."""
    x = np.log(values)
    gamma = 1 / (2 * _sigma(x) ** 2)
    kernel = ruptures.KernelCPD(kernel="rbf", min_size=3, params={"gamma": gamma})
    found = _without_transients(x, _segment(kernel, x, 1.7 * math.log(len(x))))
    while found:
        weighed = [_verify(x, [0, *found, len(x)][k : k + 3]) for k in range(len(found))]
        p, _, at = max(weighed)
        small = [w for w in weighed if w[1] < math.log1p(0.01)]
        if p <= 1e-3 and not small:
            break
        found.remove(at if p > 1e-3 else small[0][2])
    return found


def detectors() -> dict[str, Detector]:
    """Name to detector in the order of the tables, ours first."""
    known: dict[str, Detector] = {
        "**mobileopt**": mobileopt,
        "prototype": prototype,
        "PELT rbf, 2 log n": pelt_rbf,
        "E-divisive, p .01": e_divisive,
        "Mann-Whitney, windows of 12": mann_whitney,
        "Welch, windows of 12": welch,
        "Student, windows of 7": student,
        "asv steps": asv_steps,
        "asv regressions, 5 %": asv_regressions,
        "PELT l2": pelt_l2,
        "previous point x 1.07": previous_point,
    }
    return known | _otava()


def _otava() -> dict[str, Detector]:
    try:
        from otava.analysis import compute_change_points  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}

    def run(p: float) -> Detector:
        return lambda values: [
            int(point.index) for point in compute_change_points(list(values), max_pvalue=p)[0]
        ]

    return {"otava, p 1e-3": run(1e-3), "otava, p 1e-5": run(1e-5)}


def _segment(kernel: ruptures.KernelCPD, x: Floats, penalty: float) -> list[int]:
    kernel.fit(x[:, None])
    return list(kernel.predict(pen=penalty) or [len(x)])[:-1]


def _sigma(x: Floats) -> float:
    moves = np.diff(x)
    return max(1.4826 * float(np.median(np.abs(moves - np.median(moves)))) / math.sqrt(2), 1e-9)


def _windows(values: Floats, width: int) -> tuple[Floats, Floats]:
    windows = sliding_window_view(values, width)
    return windows[:-width], windows[width:]


def _t(values: Floats, width: int) -> Floats:
    before, after = _windows(values, width)
    spread = (before.var(1, ddof=1) + after.var(1, ddof=1)) / width
    return np.abs(after.mean(1) - before.mean(1)) / np.sqrt(spread + 1e-30)


def _peaks(score: Floats, threshold: float, width: int) -> list[int]:
    """The highest scores above the threshold, no two within a window of each other."""
    found: list[int] = []
    for i in np.argsort(-score):
        if score[i] <= threshold:
            break
        if all(abs(i - other) >= width for other in found):
            found.append(int(i))
    return sorted(i + width for i in found)


def _energy(x: Floats) -> tuple[float, int]:
    n = len(x)
    sums = np.zeros((n + 1, n + 1))
    sums[1:, 1:] = np.abs(x[:, None] - x[None, :]).cumsum(0).cumsum(1)
    left = np.arange(3, n - 2)
    right = n - left
    within = sums[left, left]
    between = sums[left, n] - within
    beyond = sums[n, n] - within - 2 * between
    spread = within / (left * (left - 1)) + beyond / (right * (right - 1))
    q = left * right / n * (2 * between / (left * right) - spread)
    best = int(q.argmax())
    return float(q[best]), int(left[best])


def _without_transients(x: Floats, found: list[int]) -> list[int]:
    """Drop both ends of excursions of at most 8 results that return to their level."""
    for k in range(len(found) - 1):
        start, left, right, stop = ([0, *found, len(x)])[k : k + 4]
        before, during, after = (
            float(np.median(x[a:b])) for a, b in ((start, left), (left, right), (right, stop))
        )
        if right - left <= 8 and abs(after - before) < max(0.01, abs(during - before) / 2):
            return _without_transients(x, [at for at in found if at not in (left, right)])
    return found


def _verify(x: Floats, span: list[int]) -> tuple[float, float, int]:
    start, at, stop = span
    before, after = x[max(start, at - 30) : at], x[at : min(stop, at + 30)]
    p = float(stats.mannwhitneyu(before, after, method="asymptotic").pvalue)
    return p, abs(float(np.median(after[:, None] - before))), at
