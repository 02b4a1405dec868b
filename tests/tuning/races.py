"""Races on made-up machines: what each candidate takes, and how the samples scatter."""

import math
import random

from mobileopt.tuning.candidates import Candidate
from mobileopt.tuning.evidence import Batch, Heat
from mobileopt.tuning.race import Race, Rules
from mobileopt.variant import Recipe

WORDS = "abcdefghijklmnopqrstuvwxyz"


def candidate(word: str, sqnr: float = 100.0, size: int = 10_000_000) -> Candidate:
    return Candidate(Recipe(word), sqnr, size)


def name(word: str) -> str:
    return candidate(word).name


class Machine:
    """Answers what a race asks for: log-normal rounds about each candidate's latency.

    `launch` is the scatter a process is dealt at its start, `burst` the chance that a neighbour
    slows a round by half; the whole machine slows from launch to launch by `drift`.
    """

    def __init__(self, latencies, *, noise=0.01, launch=0.0, burst=0.0, drift=0.0, seed=0):
        self.latencies = {name(word): seconds for word, seconds in latencies.items()}
        self.noise, self.launch, self.burst, self.drift = noise, launch, burst, drift
        self.rng = random.Random(seed)
        self.asked = []

    def measure(self, ask, rounds=3):
        self.asked.append(ask)
        level = (1 + self.drift) ** ask.launch
        return Heat(ask.reference, tuple(self.batch(each, level, rounds) for each in ask.batches))

    def batch(self, names, level, rounds):
        dealt = {each: math.exp(self.rng.gauss(0, self.launch)) for each in names}
        times = {each: [] for each in names}
        for _ in range(rounds):
            slow = 1.5 if self.rng.random() < self.burst else 1.0
            for each in names:
                own = 1.5 if self.rng.random() < self.burst else 1.0
                latency = self.latencies[each] * level * dealt[each] * slow * own
                times[each].append((latency * math.exp(self.rng.gauss(0, self.noise)),))
        return Batch(times, times, {each: 10 * self.latencies[each] for each in names})

    def race(self, **rules):
        race = Race(tuple(Candidate(Recipe.parse(n), 100.0, 10_000_000) for n in self.latencies),
                    Rules(**rules))  # fmt: skip
        while (ask := race.ask()) is not None:
            race = race.after(self.measure(ask))
        return race
