"""From a suspicion to a commit: which comparisons to make, and what follows from them.

An inquiry asks for comparisons, one after the other, and never measures: whoever runs it sends
back how each ended, from a machine or from the ledger of a night that was killed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mobileopt.effort import ALPHA
from mobileopt.nightly import culprit
from mobileopt.nightly.culprit import Side
from mobileopt.nightly.jobs import Job, Machine, Outcome
from mobileopt.nightly.judgement import Judgement
from mobileopt.nightly.suspects import Suspect

Result = Literal["changed", "refuted", "unclear", "postponed"]


@dataclass(frozen=True)
class Finding:
    """How an inquiry ended.

    `changed`: the change is real. One of `candidates` made it, oldest first; the commit before
    the first of them is `parent`. `judgement` is of the last of them against `parent`, or of the
    whole span where it could not be narrowed down, and `confidence` bounds from below the
    probability that all comparisons on the way were right.

    `refuted`: both commits are alike, or differ by less than half of what was suspected.
    `unclear`: measured, and it does not decide. `postponed`: not measured, for `reason`.
    """

    result: Result
    suspect: Suspect
    reason: str = ""
    judgement: Judgement | None = None
    parent: str = ""
    candidates: tuple[str, ...] = ()
    confidence: float = 0.0

    @property
    def commit(self) -> str:
        """The one commit that made the change, empty where several are left."""
        return self.candidates[0] if len(self.candidates) == 1 else ""


Inquiry = Generator[Job, Outcome, Finding]


def investigate(
    suspect: Suspect,
    machine: Machine,
    span: Sequence[str],
    *,
    known: Sequence[tuple[str, str]] = (),
    only_known: bool = False,
    alpha: float = ALPHA,
    attempt: int = 0,
) -> Inquiry:
    """Make sure of a suspicion and find its commit.

    `span` are the commits from `suspect.good` to `suspect.bad`, oldest first. `known` are pairs
    of parent and commit that made a change elsewhere; the ones inside the span are tried first,
    and nothing else with `only_known`.
    `alpha` is the error rate of the decision whether there is a change at all.
    """
    ask = _Asking(suspect, machine, alpha, attempt)
    for parent, commit in known:
        if parent in span and commit in span[1:]:
            judged = yield from ask.compare(parent, commit)
            if _agrees(judged, suspect):
                return ask.changed(judged, parent, (commit,))
            if isinstance(judged, Outcome) and judged.fault != "commit":
                return _stopped(suspect, judged)
    if only_known:
        return Finding("postponed", suspect, "no change that was found already explains it")
    whole = yield from ask.compare(span[0], span[-1])
    if isinstance(whole, Outcome):
        return _stopped(suspect, whole)
    if not _agrees(whole, suspect):
        result: Result = "refuted" if _refutes(whole, suspect) else "unclear"
        return Finding(result, suspect, whole.sentence, whole)
    return (yield from _search(ask, span, whole))


def _search(ask: _Asking, span: Sequence[str], whole: Judgement) -> Inquiry:
    sides: dict[str, Side] = {}
    while (commit := culprit.next_commit(span, sides)) is not None:
        judged = yield from ask.compare(span[0], commit, alpha=ALPHA)
        if isinstance(judged, Outcome):
            if judged.fault != "commit":
                return _stopped(ask.suspect, judged)
            sides[commit] = "skip"
        else:
            sides[commit] = _side(judged, whole.ratio)
    left = culprit.candidates(span, sides)
    parent = culprit.last_good(span, sides)
    if (parent, left[-1]) == (span[0], span[-1]):
        return ask.changed(whole, parent, left)
    judged = yield from ask.compare(parent, left[-1])
    if _agrees(judged, ask.suspect):
        return ask.changed(judged, parent, left)
    if isinstance(judged, Outcome) and judged.fault != "commit":
        return _stopped(ask.suspect, judged)
    # Several commits share the change, none of them enough of it.
    return ask.changed(whole, span[0], tuple(span[1:]))


@dataclass
class _Asking:
    """Makes an inquiry's jobs and adds up the error rates of those that were answered."""

    suspect: Suspect
    machine: Machine
    alpha: float
    attempt: int
    doubt: float = 0.0

    def compare(
        self, good: str, commit: str, alpha: float | None = None
    ) -> Generator[Job, Outcome, Judgement | Outcome]:
        """Ask for a comparison; its judgement, or the outcome that has none."""
        suspect = self.suspect
        job = Job(
            "compare", self.machine, commit, good, suspect.metric, suspect.variant,
            self.alpha if alpha is None else alpha, self.attempt,
        )  # fmt: skip
        outcome = yield job
        if not outcome.ok:
            return outcome
        judged = Judgement.of(outcome.found)
        self.doubt += judged.alpha
        return judged

    def changed(self, judged: Judgement | Outcome, parent: str, left: tuple[str, ...]) -> Finding:
        assert isinstance(judged, Judgement)
        confidence = max(0.0, 1 - self.doubt)
        found = Finding("changed", self.suspect, judged.sentence, judged, parent, left)
        return replace(found, confidence=confidence)


def _agrees(judged: Judgement | Outcome, suspect: Suspect) -> bool:
    wanted = "slower" if suspect.worse else "faster"
    return isinstance(judged, Judgement) and judged.verdict == wanted


def _refutes(judged: Judgement, suspect: Suspect) -> bool:
    """Whether there is no change, or none that could have looked like the suspected one."""
    return judged.verdict != "unclear" or _side(judged, suspect.after / suspect.before) == "good"


def _side(judged: Judgement, effect: float) -> Side:
    broken = judged.how == "broken"
    return "skip" if broken else culprit.side(judged.low, judged.high, effect)


def _stopped(suspect: Suspect, outcome: Outcome) -> Finding:
    return Finding("postponed", suspect, outcome.reason)
