"""Where a level moved: the posterior of a jump before each result, by forward-backward.

The hidden state behind a result is the level of what is measured, and whether the machine is
throttled and by how much. A level creeps (drift) and now and then jumps (the commits we look
for); throttling comes, stays for a few results and leaves the level as it was; any result may be
an outlier. All of it lives on a grid of log levels, on which the posterior is exact (Rabiner
1989, section III, with his scaling; Chib 1998 for change points as a hidden Markov chain).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product

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

_LONG = 200  # results: throttled for two at once some six times, at the prior's rates
_AROUND = 10  # results on each side that say what the level is here
_FAR = 5.0  # sigmas from the level: no noise to remember
_REMEMBERED = 0.3  # correlation with the next result below which no memory is asked for
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
    memory: float = 0.0
    """Correlation of the noise of one result with that of the next; none where it throttles."""


@dataclass(frozen=True)
class Prior:
    """What a history looks like before it is seen; ranges and shifts are logarithmic."""

    jump: float = 0.01
    """Probability of a jump at one result."""
    jump_sizes: tuple[float, float] = (0.01, 0.3)
    """Least jump and greatest, or as great as the history. Of half the jumps every order of size
    between them is as likely as any other, so that small ones are expected; of the other half
    every size, so that a large one is believed after few results."""
    habits: tuple[Habit, ...] = (
        Habit(weight=1.0, throttled=0.05, drift=0.035),
        Habit(weight=1.0, throttled=0.0, drift=0.035),
        Habit(weight=0.1, throttled=0.0, drift=0.1),
        Habit(weight=0.03, throttled=0.0, drift=0.25),
        Habit(weight=0.6, throttled=0.0, drift=0.035, memory=0.4),
        Habit(weight=0.4, throttled=0.0, drift=0.035, memory=0.7),
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
        hottest = self.first + self.stride * (self.modes - 1) if self.modes else 0
        return self.levels + hottest


def jump_probability(x: Floats, sigma: float, prior: Prior = PRIOR) -> Floats:
    """P(level jumps between result i-1 and i) for each i of `x`, shape (n,); 0 at i = 0.

    `x` are natural logarithms, shape (n,), n >= 2, all finite; `sigma` is the standard
    deviation of their noise, above 0.
    """
    starts, size, owner = _blocks(len(x))
    rows = x[starts[:, None] + np.arange(size)]
    apart = rows - np.median(_surroundings(rows), axis=2)
    throttles, remembers = _may_throttle(apart, sigma, prior), _may_remember(apart, sigma)
    jumps = np.zeros(rows.shape)
    for hot, mindful in product((True, False), repeat=2):
        some = (throttles == hot) & (remembers == mindful)
        if some.any():
            asked = (each for each in prior.habits if hot or not each.throttled)
            habits = tuple(each for each in asked if mindful or not each.memory)
            jumps[some] = _posterior(rows[some], sigma, prior, habits)
    return np.clip(jumps[owner, np.arange(len(x)) - starts[owner]], 0.0, 1.0)


def _surroundings(rows: Floats) -> Floats:
    """The results around each, shape (blocks, results, around)."""
    padded = np.pad(rows, ((0, 0), (_AROUND, _AROUND)), mode="edge")
    return sliding_window_view(padded, 2 * _AROUND + 1, axis=1)


def _may_throttle(apart: Floats, sigma: float, prior: Prior) -> npt.NDArray[np.bool_]:
    """Whether each block has to be asked for throttling, which is most of the work.

    A machine that throttles shows it somewhere in a long block by two neighbours `apart` from
    their surroundings, unless noise hides them.
    """
    if apart.shape[1] < _LONG or 3 * sigma > prior.shifts[0]:
        return np.ones(len(apart), bool)
    above = apart > max(prior.shifts[0] / 2, 3 * sigma)
    return np.any(above[:, 1:] & above[:, :-1], axis=1)


def _may_remember(apart: Floats, sigma: float) -> npt.NDArray[np.bool_]:
    """Whether each block has to be asked for noise that goes on from one result to the next."""
    near = np.where(np.abs(apart) < _FAR * sigma, apart, 0.0)
    return (near[:, 1:] * near[:, :-1]).sum(1) > _REMEMBERED * (near**2).sum(1)


def _posterior(rows: Floats, sigma: float, prior: Prior, habits: tuple[Habit, ...]) -> Floats:
    """The chance of a jump before each result of some blocks, shape (blocks, results)."""
    count, size = rows.shape
    grid = _grid(rows, sigma, prior, throttles=any(habit.throttled for habit in habits))
    seen = partial(_densities, rows, grid, sigma, prior)
    hot = seen(throttled=True) if grid.modes else np.empty(0, np.float32)
    cold = {memory: seen(memory=memory) for memory in {habit.memory for habit in habits}}
    chains = [_Chain(cold[some[0].memory], hot, grid, prior, some) for some in _alike(habits)]
    evidence = np.concatenate([chain.forward() for chain in chains])
    of_block = evidence.reshape(-1, count)
    weight = np.exp(of_block - of_block.max(0))
    weight = (weight / weight.sum(0)).reshape(evidence.shape)
    weights = np.split(weight, np.cumsum([len(chain.weight) for chain in chains])[:-1])
    weighted = sum(chain.jumps(own) for chain, own in zip(chains, weights, strict=True))
    return np.asarray(weighted).reshape(size, -1, count).sum(1).T


def _alike(habits: tuple[Habit, ...]) -> list[list[Habit]]:
    """Habits that run as one chain: each that throttles alone, else those of one memory."""
    calm = [habit for habit in habits if not habit.throttled]
    alone = [[habit] for habit in habits if habit.throttled]
    memories = dict.fromkeys(habit.memory for habit in calm)
    return alone + [[habit for habit in calm if habit.memory == memory] for memory in memories]


def _blocks(n: int) -> tuple[npt.NDArray[np.intp], int, npt.NDArray[np.intp]]:
    """Starts of equally long overlapping blocks, their length, and each result's block."""
    size = min(n, BLOCK)
    count = 1 if n <= size else int(np.ceil((n - size) / (size - 2 * MARGIN))) + 1
    starts = np.round(np.linspace(0, n - size, count)).astype(np.intp)
    borders = (starts[1:] + starts[:-1] + size) // 2
    return starts, size, np.searchsorted(borders, np.arange(n), side="right")


def _grid(rows: Floats, sigma: float, prior: Prior, *, throttles: bool) -> _Grid:
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
        modes=max(1, int((greatest - least) / (stride * step)) + 1) if throttles else 0,
    )


def _densities(
    rows: Floats,
    grid: _Grid,
    sigma: float,
    prior: Prior,
    *,
    memory: float = 0.0,
    throttled: bool = False,
) -> Single:
    """Densities of each result at each level, shape (time, sigma x block, levels or reach).

    Under throttling the levels go on to the grid's reach. With `memory` a result is expected at
    its level plus that share of how far the one before it was off, which makes its noise an
    autoregression of order one; what was too far off was none of it.
    """
    fine = np.round((rows.T - grid.starts) / grid.step * _SUBSTEPS)
    limit = int(np.ceil(5 * prior.tail_width * max(sigma / grid.step, 1))) * _SUBSTEPS
    at = np.arange(grid.reach if throttled else grid.levels, dtype=np.int32) * _SUBSTEPS
    # Beyond the grid on either side every density is the outliers'.
    fine = np.clip(fine, -limit, at[-1] + limit).astype(np.int32)
    below = np.clip(at - fine[:, :, None], -limit, limit)
    offsets = np.arange(-limit, limit + 1)
    if memory:
        off = np.where(np.abs(offsets) < _FAR * sigma / grid.step * _SUBSTEPS, offsets, 0)
        lasting = np.round(memory * off).astype(np.int32)
        below[1:] = np.clip(below[1:] - lasting[below[:-1] + limit], -limit, limit)
        # What is left of it is wider than the differences it was estimated from.
        sigma *= (1 + memory) ** 0.5
    widths = [max(sigma * factor, grid.step / 2) for factor in prior.sigmas]
    if throttled:
        # Throttling between two modes of the grid belongs to both.
        widths = [float(np.hypot(width, grid.stride * grid.step / 3)) for width in widths]
    residual = offsets * (grid.step / _SUBSTEPS)
    return np.concatenate([_density(residual, s, prior)[below + limit] for s in widths], axis=1)


def _density(residual: npt.NDArray[np.floating], sigma: float, prior: Prior) -> Single:
    z = residual / sigma
    core = np.exp(-0.5 * z**2) * (1 - prior.tail - prior.outlier)
    tail = np.exp(-0.5 * (z / prior.tail_width) ** 2) * (prior.tail / prior.tail_width)
    normal = (core + tail) / (sigma * np.sqrt(2 * np.pi))
    return (normal + prior.outlier / prior.outlier_range).astype(np.float32)


class _Chain:
    """Forward and backward passes over all blocks and sigmas of some habits at once.

    The mass at each level has shape (habits, rows, levels), a row each block and sigma; that of
    the throttled modes, where the only habit throttles, (rows, modes, levels). Throttling is too
    short for a throttled level to creep.
    """

    def __init__(
        self, cold: Single, hot: Single, grid: _Grid, prior: Prior, habits: list[Habit]
    ) -> None:
        self.grid = grid
        self.cold_density, self.hot = cold, hot
        self.time, self.rows, self.levels = cold.shape
        self.modes = grid.modes if habits[0].throttled else 0
        self.leave = np.float32(1 / prior.dwell)
        self.enter = np.float32(habits[0].throttled)
        self.entered = np.float32(self.enter / max(1, self.modes))
        self.stay = np.float32(1 - prior.jump)
        # Under throttling the sizes are even, which costs no product of matrices a mode.
        reach = max(prior.jump_sizes[1], self.levels * grid.step)
        self.even = np.float32(prior.jump * grid.step / reach)
        # A sigma of the drift prior is the estimate; the grid counts in steps.
        creep = [min(0.25, (habit.drift * 0.9 / _STEP) ** 2 / 2) for habit in habits]
        drift = np.stack([_drift(self.levels, each) for each in creep])
        self.jump = (drift @ _sizes(self.levels, grid.step, prior)).astype(np.float32)
        self.move = (drift * self.stay + self.jump).astype(np.float32)
        self.weight = np.array([[habit.weight] for habit in habits])
        self.before = np.zeros((self.time, len(habits), self.rows, self.levels), np.float32)
        self.hot_mass = np.zeros((self.time, self.rows, self.modes), np.float32)
        self.scale = np.zeros((self.time, len(habits), self.rows), np.float32)

    def forward(self) -> Floats:
        """Log of weight x evidence, shape (habits, rows); has to come before `jumps`."""
        throttled = self.modes > 0
        share = float(self.enter / (self.enter + self.leave))
        first = self.cold_density[0] * np.float32((1 - share) / self.levels)
        cold = np.repeat(first[None], len(self.weight), 0)
        self.scale[0] = cold.sum(-1)
        hot_density = hot = leaving = self.hot
        if throttled:
            hot_density = self._hot_density(self.hot)
            hot = hot_density[0] * np.float32(share / self.levels / self.modes)
            leaving = hot.sum(1)
            self.scale[0] += leaving.sum(1)
        for t in range(1, self.time):
            norm = (1 / self.scale[t - 1])[..., None]
            cold *= norm
            if throttled:
                hot *= ((1 - self.leave) * self.stay * norm[0])[:, None]
                hot += (self.entered * self.stay * cold[0])[:, None]
                cold *= 1 - self.enter
                cold += self.leave * norm * leaving
                self.hot_mass[t] = hot.sum(2) / self.stay
                hot += (self.even * self.hot_mass[t])[..., None]
                hot *= hot_density[t]
                leaving = hot.sum(1)
                self.scale[t] = leaving.sum(1)
            self.before[t] = cold
            cold = cold @ self.move
            cold *= self.cold_density[t]
            self.scale[t] += cold.sum(-1)
        return np.log(self.scale).sum(0, dtype=np.float64) + np.log(self.weight)

    def jumps(self, weight: Floats) -> Floats:
        """Posterior of a jump, summed over the habits by `weight`, shape (time, rows).

        `weight` has the shape of what `forward` gives; what has none is not computed.
        """
        jumps = np.zeros((self.time, self.rows))
        rows = np.flatnonzero((weight > _NOTHING).any(0))
        if len(rows):
            jumps[:, rows] = (self._backward(rows) * weight[:, rows]).sum(1)
        return jumps

    def _backward(self, rows: npt.NDArray[np.intp]) -> Floats:
        throttled = self.modes > 0
        density, before, scale = (
            self.cold_density[:, rows],
            self.before[:, :, rows],
            self.scale[:, :, rows],
        )
        hot_mass = self.hot_mass[:, rows]
        hot_density = self._hot_density(self.hot[:, rows]) if throttled else self.hot
        came_from, moved_from = self.jump.transpose(0, 2, 1), self.move.transpose(0, 2, 1)
        jumps = np.zeros(scale.shape)
        cold = np.ones(before.shape[1:], np.float32)
        hot = np.ones((len(rows), self.modes, self.levels), np.float32)
        for t in range(self.time - 1, 0, -1):
            norm = (1 / scale[t])[..., None]
            cold *= density[t] * norm
            jumps[t] = ((cold @ came_from) * before[t]).sum(-1)
            cold = cold @ moved_from
            if throttled:
                hot *= hot_density[t]
                jumped = (self.even * norm[0]) * hot.sum(2)
                jumps[t, 0] += (jumped * hot_mass[t]).sum(1)
                entering = self.stay * norm * hot.sum(1) + jumped.sum(1)[:, None]
                hot *= ((1 - self.leave) * self.stay * norm[0])[:, None]
                hot += ((1 - self.leave) * jumped)[..., None]
                hot += (self.leave * cold[0])[:, None]
                cold *= 1 - self.enter
                cold += self.entered * entering
        return jumps

    def _hot_density(self, hot: Single) -> Single:
        """The densities of each mode's levels, shape (time, rows, modes, levels)."""
        windows = sliding_window_view(hot, self.levels, axis=2)
        return windows[:, :, self.grid.first :: self.grid.stride][:, :, : self.modes]


def _sizes(levels: int, step: float, prior: Prior) -> Floats:
    """Chance of a jump from each level to each other, shape (levels, levels)."""
    least, greatest = prior.jump_sizes[0], max(prior.jump_sizes[1], levels * step)
    distance = np.arange(levels) * step
    low = np.clip(distance - step / 2, least, greatest)
    high = np.clip(distance + step / 2, least, greatest)
    # Each way half, but the cell of no distance holds both.
    by_order = np.log(high / low) / np.log(greatest / least) / 2
    by_order[0] *= 2
    chance = prior.jump * (by_order + step / greatest) / 2
    at = np.arange(levels)
    return chance[np.abs(at - at[:, None])]


def _drift(levels: int, creep: float) -> Floats:
    """Chance of a creep from each level to each other: a share `creep` to either neighbour."""
    to_next = np.full(levels - 1, creep)
    stays = 1 - np.append(to_next, 0) - np.append(0, to_next)
    return np.diag(stays) + np.diag(to_next, 1) + np.diag(to_next, -1)
