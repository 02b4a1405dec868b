"""A machine that takes no time: sessions drawn from a seeded generator, on a clock of its own."""

import math
from pathlib import Path

import numpy as np

from mobileopt.gate.timing import Clock, Pair
from mobileopt.measure import Record

LAUNCH = 10.0
"""Seconds a launch takes on its clock."""


class Machine:
    """`slower` are relative slowdowns of the head by subject, in CPU time; `waits` in wall time.

    A launch shifts each process by 1 %, a round adds 2 %.
    """

    def __init__(self, slower=None, waits=None, seed=0, launch_noise=0.01, only_first=False):
        self.slower, self.waits = slower or {}, waits or {}
        self.rng = np.random.default_rng(seed)
        self.launch_noise = launch_noise
        self.only_first = only_first
        self.time = 0.0
        self.sessions = []
        self.drift = 0.0

    def clock(self, budget):
        return Clock(self.time + budget, now=lambda: self.time, session=self.session)

    def session(self, folders, plan, *, together, until):
        self.sessions.append((set(folders), plan.seed))
        self.time += LAUNCH
        wall, cpu = {}, {}
        for name in folders:
            factor = 0.1 * math.exp(self.rng.normal(0, self.launch_noise))
            head = name.endswith("head")
            if head:
                factor *= 1 + self._slower(name, plan.seed) + self.drift * self.time
            rounds = factor * np.exp(self.rng.normal(0, 0.02, (plan.rounds, plan.samples)))
            waited = 1 + (self.waits.get(_subject(name), 0.0) if head else 0.0)
            cpu[name] = [tuple(each) for each in rounds.tolist()]
            wall[name] = [tuple(1.001 * waited * t for t in each) for each in cpu[name]]
        return Record(wall, cpu, [0] * plan.rounds)

    def _slower(self, name, seed):
        if self.only_first and seed >= 1000:  # a confirming session has another seed
            return 0.0
        return self.slower.get(_subject(name), 0.0)


def _subject(name):
    return name.split(" of ")[1].rpartition(",")[0]


def pairs(*subjects):
    return [
        Pair("latency.time_forward", each, Path(f"{each}-a"), Path(f"{each}-b"))
        for each in subjects
    ]
