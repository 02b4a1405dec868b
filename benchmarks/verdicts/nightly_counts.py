"""What `benchmarks.verdicts.nightly` counts after its nights, from the ledger and the stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.verdicts.nightly_scratch import FUSED
from mobileopt.nightly.ledger import Ledger
from mobileopt.store import Store

Key = tuple[str, ...]
LATENCY = "latency.time_forward"


@dataclass(frozen=True)
class Expected:
    """What has to be there: machines, `phones` of them phones, and whether the host is one.

    `slow` is the commit to be blamed, empty for none.
    """

    phones: int
    host: bool
    variants: int
    slow: str = ""

    @property
    def machines(self) -> int:
        """How many machines measure."""
        return self.phones + self.host

    def values(self, commits: int) -> int:
        """Values of so many commits: a latency each, and a size each on the host."""
        return commits * self.variants * (self.phones + 2 * self.host)


def complaints(report: dict[str, Any], code: int, expected: Expected) -> list[str]:
    """What is wrong with a night's report: it blames one commit, of one variant, everywhere.

    What a session could not decide is no alarm; a row of figures counts it.
    """
    wrong = [f"{e['machine']} lacks the tip" for e in report["machines"] if not e["has_tip"]]
    if len(report["machines"]) != expected.machines:
        wrong.append(f"{len(report['machines'])} machines took part")
    wrong += [f"false alarm: {sentence(each)}" for each in false_alarms(report, expected.slow)]
    blamed = blaming(report, expected.slow)
    if expected.slow and len(blamed) != expected.machines:
        wrong.append(f"the slow commit is blamed on {len(blamed)} machines")
    doubted = any(each["after"] > each["before"] for each in report["undecided"])
    if code != (1 if expected.slow else 2 if doubted else 0):
        wrong.append(f"the exit code is {code}")
    return wrong


def false_alarms(report: dict[str, Any], slow: str) -> list[dict[str, Any]]:
    """The new changes that are not the slow commit's, or of a variant it does not touch."""
    return [
        each
        for each in report["changes"]
        if each["new"]
        and ([c["hash"] for c in each["candidates"]] != [slow] or each["variant"] != FUSED)
    ]


def blaming(report: dict[str, Any], slow: str) -> set[str]:
    """The machines on which a report newly blames a commit for the latency of its variant."""
    return {
        each["machine"]
        for each in report["changes"]
        if each["new"]
        and (each["metric"], each["variant"]) == (LATENCY, FUSED)
        and [c["hash"] for c in each["candidates"]] == [slow]
    }


def sentence(change: dict[str, Any]) -> str:
    """A change in one line."""
    commits = ", ".join(f"{c['hash'][:8]} {c['subject']}" for c in change["candidates"])
    kind = "new" if change["new"] else "told before"
    what = f"{change['metric']} of {change['variant']} on {change['machine']}"
    # JSON has no infinity.
    ratio = "from nothing" if change["ratio"] is None else f"{change['ratio'] - 1:+.1%}"
    return f"{kind}: {what} {ratio}, {commits}"


def repeated(ledger: Path) -> list[str]:
    """The jobs that were done more than once, by their ids."""
    done = Counter(each["job"] for each in Ledger(ledger).of("took", fault=""))
    return [job for job, number in done.items() if number > 1]


def sessions(ledger: Path) -> int:
    """The comparisons that were measured; others are answered by equal bytes, or by sizes."""
    found = (each["found"] for each in Ledger(ledger).of("compared", fault=""))
    return sum(each["how"] in ("session", "broken") for each in found)


def runs(results: Path) -> Counter[Key]:
    """How often each phone's commit and combination was measured, as the side-cars tell."""
    found = (run for run in Store(results).runs() if run["kind"] == "run" and not run["reason"])
    return Counter((run["machine"], run["file"], *run["combination"]) for run in found)


def values(results: Path, commits: Sequence[str]) -> int:
    """The values of these commits in a store, of all machines."""
    frame = Store(results).frame()
    kept = frame[(frame["status"] == "measured") & frame["commit"].astype(str).isin(commits)]
    return len(kept)


def counted(clone: Path, commits: Sequence[str], expected: Expected) -> bool:
    """Whether everything is there and nothing was done twice; says the figures."""
    found, doubled = runs(clone / "results"), repeated(clone / ".nightly" / "ledger.jsonl")
    there, wanted = values(clone / "results", commits), expected.values(len(commits))
    of_phones = len(commits) * expected.phones * expected.variants
    twice = found.total() - len(found)
    print(f"values: {there} of {wanted}; phones' runs: {len(found)} of {of_phones}, {twice} of "
          f"them twice; jobs done twice: {len(doubled)}", flush=True)  # fmt: skip
    return there == wanted and len(found) == of_phones and not twice and not doubled


def counted_on_hosts(clone: Path, homes: Sequence[Path]) -> bool:
    """Whether every run of the clone's store is on one host's, once, and none is only there."""
    on_hosts: Counter[Key] = Counter()
    for home in homes:
        on_hosts += runs(home / "clone" / "results")
    merged = runs(clone / "results")
    print(f"runs on the hosts: {on_hosts.total()}, in the nightly's store: {merged.total()}",
          flush=True)  # fmt: skip
    return on_hosts == merged
