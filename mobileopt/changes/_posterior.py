"""Where a level moved: the posterior of a jump before each result, by forward-backward.

The hidden state behind a result is the level of what is measured, and whether the machine is
throttled and by how much. A level creeps (drift) and now and then jumps (the commits we look
for); throttling comes, stays for a few results and leaves the level as it was; any result may be
an outlier. All of it lives on a grid of log levels, on which the posterior is exact (Rabiner
1989, section III, with his scaling; Chib 1998 for change points as a hidden Markov chain).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Floats = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

BLOCK, MARGIN = 400, 48
"""Results per block of a long series, of which MARGIN at each inner end are only context."""

_STEP = 0.6  # of the grid, in sigmas: finer costs time and finds no more
_SUBSTEPS = 8  # results are rounded to this fraction of a grid step when densities are looked up
_MAX_LEVELS = 400  # a history spanning many times its noise gets a coarser grid, not more memory

_NOTHING = 1e-6  # a habit and sigma this unlikely in a block are not asked where the jumps are


@dataclass(frozen=True)
class Habit:
    """How one kind of machine behaves between jumps."""

    weight: float
    """Relative to the other kinds, before any result is seen."""
    throttled: float
    """Probability that throttling begins at one result."""
    drift: float
    """Standard deviation of the creep from one result to the next, in sigmas; a quarter stands
    for results so alike from one to the next that a run of them is no step."""


@dataclass(frozen=True)
class Prior:
    """What a history looks like before it is seen; ranges and shifts are logarithmic."""

    jump: float = 0.01
    """Probability of a jump at one result, spread evenly over `jump_range`."""
    jump_range: float = 0.3
    habits: tuple[Habit, ...] = (
        Habit(weight=1.0, throttled=0.05, drift=0.035),
        Habit(weight=1.0, throttled=0.0, drift=0.035),
        Habit(weight=0.1, throttled=0.0, drift=0.1),
        Habit(weight=0.03, throttled=0.0, drift=0.25),
    )
    """Their evidence says which of them a history comes from."""
    dwell: float = 3.5
    """Mean number of results it lasts."""
    shifts: tuple[float, float] = (0.05, 0.30)
    """Least and greatest throttling."""
    outlier: float = 0.03
    outlier_range: float = 1.0
    tail: float = 0.05
    """Share of results whose noise is `tail_width` times as wide."""
    tail_width: float = 2.5
    sigmas: tuple[float, ...] = (0.8, 1.05)
    """Candidates for sigma as multiples of the estimate, weighed by their evidence: outliers
    and throttling inflate the estimate, more in one history than in another."""


PRIOR = Prior()


@dataclass(frozen=True)
class _Grid:
    """Levels of a block from its start upwards; throttled modes begin `first` levels higher."""

    step: float
    starts: Floats
    levels: int
    first: int
    stride: int
    modes: int

    @property
    def reach(self) -> int:
        return self.levels + self.first + self.stride * (self.modes - 1)


def jump_probability(x: Floats, sigma: float, prior: Prior = PRIOR) -> Floats:
    """P(level jumps between result i-1 and i) for each i of `x`, shape (n,); 0 at i = 0.

    `x` are natural logarithms, shape (n,), n >= 2, all finite; `sigma` is the standard
    deviation of their noise, above 0.
    """
    starts, size, owner = _blocks(len(x))
    rows = x[starts[:, None] + np.arange(size)]
    grid = _grid(rows, sigma, prior)
    cold, hot = _densities(rows, grid, sigma, prior)
    chains = [_Chain(cold, hot, grid, prior, habits) for habits in _alike(prior.habits)]
    evidence = np.concatenate([chain.forward() for chain in chains]).reshape(-1, len(starts))
    weight = np.exp(evidence - evidence.max(0))
    weight /= weight.sum(0)
    weights = np.split(weight.ravel(), np.cumsum([chain.rows for chain in chains])[:-1])
    weighted = [chain.jumps(own) for chain, own in zip(chains, weights, strict=True)]
    per_block = np.concatenate(weighted, axis=1).reshape(size, -1, len(starts)).sum(1).T
    return np.clip(per_block[owner, np.arange(len(x)) - starts[owner]], 0.0, 1.0)


def _alike(habits: tuple[Habit, ...]) -> list[list[Habit]]:
    """Habits that run as one chain: each that throttles alone, those that never do together."""
    calm = [habit for habit in habits if not habit.throttled]
    return [[habit] for habit in habits if habit.throttled] + ([calm] if calm else [])


def _blocks(n: int) -> tuple[npt.NDArray[np.intp], int, npt.NDArray[np.intp]]:
    """Starts of equally long overlapping blocks, their length, and each result's block."""
    size = min(n, BLOCK)
    count = 1 if n <= size else int(np.ceil((n - size) / (size - 2 * MARGIN))) + 1
    starts = np.round(np.linspace(0, n - size, count)).astype(np.intp)
    borders = (starts[1:] + starts[:-1] + size) // 2
    return starts, size, np.searchsorted(borders, np.arange(n), side="right")


def _grid(rows: Floats, sigma: float, prior: Prior) -> _Grid:
    # The median of three neighbours keeps single outliers from stretching the grid.
    inner = np.median(sliding_window_view(rows, min(3, rows.shape[1]), axis=1), axis=2)
    low, high = inner.min(1), inner.max(1)
    span = float((high - low).max())
    step = max(sigma * _STEP, span / (_MAX_LEVELS - 5))
    least, greatest = prior.shifts
    stride = max(1, round(max(least / 2, 1.5 * sigma) / step))
    return _Grid(
        step=step,
        starts=low - 2 * step,
        levels=int(np.ceil(span / step)) + 5,
        first=max(1, round(least / step)),
        stride=stride,
        modes=max(1, int((greatest - least) / (stride * step)) + 1),
    )


def _densities(rows: Floats, grid: _Grid, sigma: float, prior: Prior) -> tuple[Single, Single]:
    """Densities of each result at each level, shapes (time, sigma x block, levels or reach)."""
    fine = np.round((rows.T - grid.starts) / grid.step * _SUBSTEPS)
    limit = int(np.ceil(5 * prior.tail_width * max(sigma / grid.step, 1))) * _SUBSTEPS
    at = np.arange(grid.reach, dtype=np.int32) * _SUBSTEPS
    # Beyond the grid on either side every density is the outliers'.
    fine = np.clip(fine, -limit, at[-1] + limit).astype(np.int32)
    index = np.clip(at - fine[:, :, None], -limit, limit) + limit
    residual = np.arange(-limit, limit + 1) * (grid.step / _SUBSTEPS)
    widths = [max(sigma * factor, grid.step / 2) for factor in prior.sigmas]
    # Throttling between two modes of the grid belongs to both.
    blur = grid.stride * grid.step / 3
    cold = [_density(residual, s, prior)[index[:, :, : grid.levels]] for s in widths]
    hot = [_density(residual, float(np.hypot(s, blur)), prior)[index] for s in widths]
    return np.concatenate(cold, axis=1), np.concatenate(hot, axis=1)


def _density(residual: npt.NDArray[np.floating], sigma: float, prior: Prior) -> Single:
    z = residual / sigma
    core = np.exp(-0.5 * z**2) * (1 - prior.tail - prior.outlier)
    tail = np.exp(-0.5 * (z / prior.tail_width) ** 2) * (prior.tail / prior.tail_width)
    normal = (core + tail) / (sigma * np.sqrt(2 * np.pi))
    return (normal + prior.outlier / prior.outlier_range).astype(np.float32)


class _Chain:
    """Forward and backward passes over all blocks and sigmas of some habits at once, in place.

    `cold` is the mass at each level, shape (rows, levels); `hot` that of the throttled modes,
    shape (rows, modes, levels), where the habit throttles. Throttling is too short for a
    throttled level to creep.
    """

    def __init__(
        self, cold: Single, hot: Single, grid: _Grid, prior: Prior, habits: list[Habit]
    ) -> None:
        self.grid = grid
        self.cold_density = np.tile(cold, (1, len(habits), 1)) if len(habits) > 1 else cold
        self.hot = hot
        self.time, self.rows, self.levels = self.cold_density.shape
        self.modes = grid.modes if habits[0].throttled else 0
        self.leave = np.float32(1 / prior.dwell)
        self.enter = np.float32(habits[0].throttled)
        self.entered = np.float32(self.enter / max(1, self.modes))
        reach = max(prior.jump_range, self.levels * grid.step)
        self.jump = np.float32(prior.jump * grid.step / reach)
        self.stay = np.float32(1 - prior.jump)
        # A sigma of the drift prior is the estimate; the grid counts in steps.
        creep = [min(0.25, (habit.drift * 0.9 / _STEP) ** 2 / 2) for habit in habits]
        self.creep = np.repeat(np.array(creep, np.float32), cold.shape[1])[:, None]
        self.weight = np.repeat([habit.weight for habit in habits], cold.shape[1])
        self.cold_mass = np.zeros((self.time, self.rows), np.float32)
        self.hot_mass = np.zeros((self.time, self.rows, self.modes), np.float32)
        self.scale = np.ones((self.time, self.rows), np.float32)

    def forward(self) -> Floats:
        """Log of weight x evidence, shape (rows,); has to come before `jumps`."""
        throttled = self.modes > 0
        share = float(self.enter / (self.enter + self.leave))
        cold = self.cold_density[0] * np.float32((1 - share) / self.levels)
        self.scale[0] = cold.sum(1)
        hot_density = hot = self.hot
        if throttled:
            hot_density = self._hot_density(self.hot)
            hot = hot_density[0] * np.float32(share / self.levels / self.modes)
            self.scale[0] += hot.sum((1, 2))
        for t in range(1, self.time):
            norm = (1 / self.scale[t - 1])[:, None]
            cold *= norm
            if throttled:
                self._switch(cold, hot, norm)
            _drift(cold, self.creep)
            self.cold_mass[t] = cold.sum(1)
            self._jump(cold, self.cold_mass[t])
            cold *= self.cold_density[t]
            self.scale[t] = cold.sum(1)
            if throttled:
                self.hot_mass[t] = hot.sum(2)
                self._jump(hot, self.hot_mass[t])
                hot *= hot_density[t]
                self.scale[t] += hot.sum((1, 2))
        return np.log(self.scale).sum(0, dtype=np.float64) + np.log(self.weight)

    def jumps(self, weight: Floats) -> Floats:
        """`weight` x posterior of a jump, shape (time, rows); not computed where it is nothing."""
        jumps = np.zeros((self.time, self.rows))
        rows = np.flatnonzero(weight > _NOTHING)
        if len(rows):
            jumps[:, rows] = self._backward(rows) * weight[rows]
        return jumps

    def _backward(self, rows: npt.NDArray[np.intp]) -> Floats:
        throttled = self.modes > 0
        cold_density, scale, creep = (
            self.cold_density[:, rows],
            self.scale[:, rows],
            self.creep[rows],
        )
        cold_mass, hot_mass = self.cold_mass[:, rows], self.hot_mass[:, rows]
        hot_density = self._hot_density(self.hot[:, rows]) if throttled else self.hot
        jumps = np.zeros((self.time, len(rows)))
        cold = np.ones((len(rows), self.levels), np.float32)
        hot = np.ones((len(rows), self.modes, self.levels), np.float32)
        for t in range(self.time - 1, 0, -1):
            norm = (1 / scale[t])[:, None]
            cold *= cold_density[t] * norm
            cold_sum = cold.sum(1)
            jumps[t] = cold_sum * cold_mass[t]
            self._jump(cold, cold_sum)
            _drift(cold, creep)
            if throttled:
                hot *= hot_density[t]
                hot *= norm[:, None]
                hot_sum = hot.sum(2)
                jumps[t] += (hot_sum * hot_mass[t]).sum(1)
                self._jump(hot, hot_sum)
                entered = hot.sum(1) * self.entered
                hot *= 1 - self.leave
                hot += (self.leave * cold)[:, None]
                cold *= 1 - self.enter
                cold += entered
        return jumps * self.jump

    def _hot_density(self, hot: Single) -> Single:
        """The densities of each mode's levels, shape (time, rows, modes, levels)."""
        windows = sliding_window_view(hot, self.levels, axis=2)
        return windows[:, :, self.grid.first :: self.grid.stride][:, :, : self.modes]

    def _switch(self, cold: Single, hot: Single, norm: Single) -> None:
        """Throttling ends here and begins there; `hot` is scaled by `norm` as `cold` was."""
        moved = hot.sum(1) * (self.leave * norm)
        hot *= ((1 - self.leave) * norm)[:, None]
        hot += (cold * self.entered)[:, None]
        cold *= 1 - self.enter
        cold += moved

    def _jump(self, mass: Single, total: Single) -> None:
        mass *= self.stay
        mass += (self.jump * total)[..., None]


def _drift(cold: Single, creep: Single) -> None:
    flow = creep * (cold[:, 1:] - cold[:, :-1])
    cold[:, :-1] += flow
    cold[:, 1:] -= flow
