"""A lab whose machines answer from a table: what a night decides, without measuring."""

import itertools
import math
import os
import random
import subprocess
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

from mobileopt.nightly.config import Config, Confirm, Phones, Repository, Schedule, Site
from mobileopt.nightly.jobs import Machine, Outcome
from mobileopt.nightly.judgement import Judgement
from mobileopt.nightly.night import STATE, Ledger, Tools, run
from mobileopt.store import Benchmark, Entry, Environment, Store

HOST = Machine("host")
PHONES = [Machine("pixel-8-R58M", "R58M"), Machine("pixel-6-X1", "X1")]
EVERYWHERE = [HOST, *PHONES]
RECIPES = ("fused-float-nchw-mobile", "unfused-float-nchw-mobile")
LATENCY = Benchmark(
    "latency.time_forward", "2", params=(("mlp",), RECIPES), param_names=("model", "recipe")
)
START = datetime(2026, 3, 1, 22, tzinfo=UTC)
IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
}


def git(folder, *arguments):
    command = ["git", "-C", str(folder), *arguments]
    environment = os.environ | IDENTITY
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


def repository(folder, count):
    """A repository of `count` commits; their hashes, oldest first."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    return [commit(folder, number) for number in range(count)]


def commit(folder, number):
    git(folder, "commit", "-q", "--allow-empty", "-m", f"Change number {number}")
    return git(folder, "rev-parse", "HEAD")


class Killed(BaseException):
    """What a process feels of kill -9: nothing it could do any more."""


class Laboratory:
    """`factors` maps (machine name, recipe) to what each commit multiplies the latency by.

    `noise` is the spread between runs, of which sessions have none; `loud` names machines that
    have another. Faults by job are given by
    `fault(job)`, which may raise Killed. Every job done is kept in `done`.
    """

    def __init__(self, folder, count=10, machines=(HOST,), noise=0.005):
        self.folder = folder
        self.commits = repository(folder / "clone", count)
        self.factors = {}
        self.here, self.gone = list(machines), {}
        self.noise, self.loud = noise, {}
        self.done = []
        self.time = START.timestamp()
        self.seconds = 60.0
        self.random = random.Random(0)
        self.fault = lambda job: ("", "")
        self.runs = itertools.count()

    def slow(self, number, size=1.3, machines=(HOST,), recipes=RECIPES[:1]):
        """Commit `number` makes some recipes slower from then on."""
        for machine, recipe in itertools.product(machines, recipes):
            of_commit = self.factors.setdefault((machine.name, recipe), {})
            of_commit[self.commits[number]] = size

    def grow(self, count):
        """More commits, of which none changes anything."""
        for _ in range(count):
            self.commits.append(commit(self.folder / "clone", len(self.commits)))

    def latency(self, machine, recipe, commit_hash):
        reached = self.commits[: self.commits.index(commit_hash) + 1]
        factors = self.factors.get((machine.name, recipe), {})
        return 0.01 * math.prod(factors.get(each, 1.0) for each in reached)

    # --- what a night sees

    def machines(self):
        return list(self.here)

    def absent(self):
        return self.gone

    def together(self, machines):
        return [[each] for each in machines if not each.is_phone] + [
            [each for each in machines if each.is_phone]
        ]

    def submit(self, job):
        future = Future()
        self.time += self.seconds
        fault, reason = self.fault(job)
        if fault:
            future.set_result(Outcome(job, fault, reason, seconds=self.seconds))
            return future
        found = {}
        if job.kind == "measure":
            self.measure(job)
        else:
            found = self.compare(job)
        self.done.append(job)
        future.set_result(Outcome(job, seconds=self.seconds, found=found))
        return future

    def measure(self, job):
        entries = []
        for recipe in RECIPES:
            noise = self.loud.get(job.machine.name, self.noise)
            shift = self.random.lognormvariate(0, noise)
            value = shift * self.latency(job.machine, recipe, job.commit)
            entries.append(
                Entry(
                    run=f"run-{next(self.runs)}",
                    machine={"machine": job.machine.name, "os": "", "arch": "", "cpu": "",
                             "num_cpu": "", "ram": ""},
                    commit=job.commit,
                    date=START + timedelta(minutes=self.commits.index(job.commit)),
                    environment=Environment("py3.11"),
                    benchmark=LATENCY,
                    started_at=datetime.fromtimestamp(self.time, UTC),
                    combination=("mlp", recipe),
                    samples=(value,) * 3,
                )
            )  # fmt: skip
        Store(self.folder / "results").add(*entries)

    def compare(self, job):
        recipe = job.variant.partition("/")[2]
        ratio = self.latency(job.machine, recipe, job.commit) / self.latency(
            job.machine, recipe, job.good
        )
        verdict = "slower" if ratio >= 1.03 else "faster" if ratio <= 1 / 1.03 else "same"
        return Judgement(
            verdict, "session", ratio, ratio * 0.99, ratio * 1.01, job.alpha, f"{ratio:.3f} times"
        ).as_dict()

    def config(self, **schedule):
        return Config(
            repository=Repository(path="clone", remote=""),
            schedule=Schedule(**{"newest": 10} | schedule),
            phones=Phones(enabled=True),
            confirm=Confirm(),
            site=Site(publish=False),
            root=self.folder,
        )

    def night(self, config=None, publish=None):
        tools = Tools(
            self, self.folder / "results", publish, lambda text: None, clock=lambda: self.time
        )
        return run(config or self.config(), tools)

    def measured(self):
        return [(job.machine.name, job.commit) for job in self.done if job.kind == "measure"]


def mark_told(lab):
    ledger = Ledger(lab.folder / "clone" / STATE / "ledger.jsonl")
    for each in ledger.of("change"):
        ledger.add("told", change=each["id"])


def blamed(report):
    return {
        (each.machine, each.variant.partition("/")[2], each.candidates[0].hash)
        for each in report.regressions
        if len(each.candidates) == 1
    }


def next_hour(lab):
    return f"{datetime.fromtimestamp(lab.time + 3600).astimezone():%H:%M}"
