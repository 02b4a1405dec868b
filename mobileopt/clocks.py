"""At which clock a phone really ran, from the time its kernel accounted at each.

The effective frequency is the mean clock weighted by that time (`time_in_state`) while a program
ran. It needs no root and shows what a look at the present clock cannot: a phone that throttled
in the middle. The time between two launches is left out: an idle core is slow without having
throttled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mobileopt.device import Cpu, State

Residency = Mapping[int, Mapping[float, float]]
"""Seconds at each clock in hertz, by the lowest core of the cluster that shares it."""


def elapsed(before: State, after: State) -> dict[int, dict[float, float]]:
    """The time at each clock between two states, by cluster.

    A cluster without accounting, or whose counters went backwards, is left out.
    """
    earlier = {cpu.index: cpu for cpu in before.cpus}
    found: dict[int, dict[float, float]] = {}
    for cpu in after.cpus:
        start = earlier.get(cpu.index)
        if start and cpu.cluster not in found:
            spent = {hz: s - start.residency.get(hz, 0.0) for hz, s in cpu.residency.items()}
            if spent and min(spent.values()) >= 0:
                found[cpu.cluster] = spent
    return found


def total(parts: Iterable[Residency]) -> dict[int, dict[float, float]]:
    """Several residencies in one.

    >>> total([{4: {2e9: 1.0}}, {4: {2e9: 0.5, 1e9: 1.0}}])
    {4: {2000000000.0: 1.5, 1000000000.0: 1.0}}
    """
    found: dict[int, dict[float, float]] = {}
    for part in parts:
        for cluster, spent in part.items():
            sums = found.setdefault(cluster, {})
            for hertz, seconds in spent.items():
                sums[hertz] = sums.get(hertz, 0.0) + seconds
    return found


def effective_frequencies(residency: Residency) -> dict[int, float]:
    """The mean clock of each cluster, in hertz, weighted by time; without time it is left out."""
    totals = {cluster: sum(spent.values()) for cluster, spent in residency.items()}
    return {
        cluster: sum(hz * seconds for hz, seconds in spent.items()) / totals[cluster]
        for cluster, spent in residency.items()
        if totals[cluster] > 0
    }


def clock_ratio(
    before: State, residency: Residency, cores: tuple[int, ...] = (), *, fixed: bool = False
) -> float | None:
    """The effective frequency over the hardware's highest, of the cluster that ran fastest.

    A program on one core leaves the other clusters idle at their lowest step; the one it ran
    on is the one nearest its maximum. Only clusters of `cores` count, all when there are none.
    When `fixed`, the highest is the one the kernel allowed before.
    """
    tops = {
        cpu.cluster: cpu.limit if fixed else cpu.top for cpu in before.cpus if allowed(cpu, cores)
    }
    ratios = [
        hertz / top
        for cluster, hertz in effective_frequencies(residency).items()
        if (top := tops.get(cluster))
    ]
    return max(ratios, default=None)


def leaders(state: State, cores: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The lowest core of each cluster that has one of these cores; of all, when there are none."""
    return tuple(sorted({cpu.cluster for cpu in state.cpus if allowed(cpu, cores)}))


def allowed(cpu: Cpu, cores: tuple[int, ...]) -> bool:
    """Whether a program kept on these cores may run on this one; on any, when there are none."""
    return not cores or cpu.index in cores
