"""The second half of a night: what is suspected is measured again, and the commit is found."""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from mobileopt import floors
from mobileopt.effort import ALPHA
from mobileopt.nightly import echoes, suspects
from mobileopt.nightly.inquiry import Finding, Inquiry, investigate
from mobileopt.nightly.jobs import Job, Lane, Machine, Outcome, drive
from mobileopt.nightly.judgement import IDENTICAL
from mobileopt.nightly.ledger import Record
from mobileopt.nightly.shift import Shift
from mobileopt.nightly.suspects import Suspect
from mobileopt.series import Series

ENOUGH = 3
"""Refuted suspicions of one place on one machine after which the others there have to wait."""


@dataclass
class _Search:
    """What one night has found so far, and what was refuted, by machine and place."""

    shift: Shift
    machines: Sequence[Machine]
    alpha: float
    findings: list[Finding] = field(default_factory=list[Finding])
    refuted: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    def run(self, chosen: Sequence[Suspect], *, only_known: bool = False) -> None:
        """Inquire; `only_known` no further than whether a change that was found explains it."""
        for group in self.shift.lab.together(self.machines):
            lanes: dict[Machine, Lane] = {}
            for machine in group:
                own = [each for each in chosen if each.machine == machine.name]
                lanes[machine] = _lane(self, machine, own, only_known)
            drive(lanes, self.shift.lab.submit)


def confirm(
    shift: Shift, open_suspects: Sequence[Suspect], machines: Sequence[Machine]
) -> list[Finding]:
    """Inquire into suspicions, the strongest first, and write down what is decided.

    Of suspicions that overlap, one machine looks into the strongest before the others begin:
    most commits that change anything change much, and what is found once is only made sure of
    elsewhere. That takes one comparison each and does not count towards the night's number.
    Returns a finding for each; those of machines that are not here, and those beyond the night's
    number, are postponed.
    """
    names, most = {machine.name for machine in machines}, shift.config.confirm.most
    here = [each for each in open_suspects if each.machine in names]
    first = _leaders(shift, here)
    taken = [*first, *(each for each in here if each not in first)][:most]
    search = _Search(shift, machines, ALPHA / max(1, len(taken)))
    search.run(first[:most])
    search.run([each for each in taken if each not in first])
    beyond = [each for each in here if each not in taken]
    explained = [each for each in beyond if _explained(shift, each)]
    search.run(explained, only_known=True)
    why = f"{most} stronger suspicions were looked into first"
    away = [each for each in open_suspects if each.machine not in names]
    return [
        *search.findings,
        *(Finding("postponed", each, why) for each in beyond if each not in explained),
        *(Finding("postponed", each, f"{each.machine} is not here") for each in away),
    ]


def _leaders(shift: Shift, found: Sequence[Suspect]) -> list[Suspect]:
    """The strongest of those that overlap, of each direction; on any machine."""
    place = suspects.positions(shift.order)
    leaders: list[Suspect] = []
    for each in found:
        if not any(
            each.worse == other.worse
            and place[each.good] < place[other.bad]
            and place[other.good] < place[each.bad]
            for other in leaders
        ):
            leaders.append(each)
    return leaders


def _explained(shift: Shift, suspect: Suspect) -> bool:
    """Whether a change that was found lies inside the span of a suspicion."""
    span = _span(shift, suspect)
    known = _known(shift, worse=suspect.worse)
    return any(parent in span and commit in span[1:] for parent, commit in known)


def unanswered(shift: Shift, found: Sequence[Suspect]) -> list[Suspect]:
    """The suspicions, or the parts of their spans, that no earlier night has answered.

    Changes that were found answer a suspicion as far as they can explain its size, by the far
    ends of their intervals: if they do not, what lies between them is suspected. A span in which
    nothing changed answers those inside it; one that stayed unclear is tried a few nights more.
    """
    return [
        part
        for each in found
        for part in _parts(shift, each)
        if not _refuted(shift, part) and attempts(shift, part) <= shift.config.confirm.retries
    ]


def unheard(shift: Shift, histories: Iterable[Series], recent: AbstractSet[str]) -> list[Suspect]:
    """Histories of other machines to be asked about a change found on one; each is asked once.

    Only changes of `recent` commits: a phone that joins is not asked about years.
    """
    changes = (each for each in shift.ledger.of("change") if each["commit"] in recent)
    found = echoes.find(changes, histories, suspects.positions(shift.order))
    return [each for each in found if not _heard(shift, each)]


def _heard(shift: Shift, echo: Suspect) -> bool:
    """Whether the change is known there too, or a session has looked for it, with any result."""
    series = {"machine": echo.machine, "series": echo.series}
    asked = shift.ledger.of("judged", **series, good=echo.good, bad=echo.bad)
    known = (echo.bad in each["candidates"] for each in shift.ledger.of("change", **series))
    return any(known) or _refuted(shift, echo) or any(True for _ in asked)


def given_up(shift: Shift, found: Sequence[Suspect]) -> list[tuple[Suspect, str]]:
    """The suspicions that were measured on as many nights as is allowed, with what came of it."""
    return [
        (part, f"measured on {attempts(shift, part)} nights without an answer")
        for each in found
        for part in _parts(shift, each)
        if not _refuted(shift, part) and attempts(shift, part) > shift.config.confirm.retries
    ]


def _parts(shift: Shift, suspect: Suspect) -> list[Suspect]:
    """The spans between the changes inside a suspicion, itself if there is none."""
    place = suspects.positions(shift.order)
    good, bad = place[suspect.good], place[suspect.bad]
    fields = {"machine": suspect.machine, "series": suspect.series, "worse": suspect.worse}
    inside = [
        record
        for record in shift.ledger.of("change", **fields)
        if all(good < place.get(commit, -1) <= bad for commit in record["candidates"])
    ]
    if not inside:
        return [suspect]
    rest = abs(math.log(suspect.after / suspect.before)) - math.fsum(map(_most, inside))
    if rest < math.log1p(shift.config.confirm.threshold):
        return []
    starts = [good, *(place[record["candidates"][-1]] for record in inside)]
    ends = [*(place[record["candidates"][0]] - 1 for record in inside), bad]
    return [
        replace(suspect, good=shift.order[start], bad=shift.order[end])
        for start, end in zip(sorted(starts), sorted(ends), strict=True)
        if start < end
    ]


def _most(change: Record) -> float:
    """How large a change may be at most, as a log ratio; JSON has no infinity."""
    ends = (change["low"], change["high"])
    return max((abs(math.log(end)) if end else math.inf) for end in ends)


def _refuted(shift: Shift, suspect: Suspect) -> bool:
    """Whether sessions have shown that nothing changed in the whole of its span."""
    place = suspects.positions(shift.order)
    series = {"machine": suspect.machine, "series": suspect.series}
    refuted = [
        (place[record["good"]], place[record["bad"]])
        for record in shift.ledger.of("judged", **series, result="refuted")
        if record["good"] in place and record["bad"] in place
    ]
    return suspects.covered(place[suspect.good], place[suspect.bad], refuted)


def attempts(shift: Shift, suspect: Suspect) -> int:
    """How often a suspicion was measured without an answer."""
    fields = {"machine": suspect.machine, "series": suspect.series, "good": suspect.good}
    return sum(1 for _ in shift.ledger.of("judged", **fields, bad=suspect.bad, result="unclear"))


def _lane(search: _Search, machine: Machine, own: Sequence[Suspect], only_known: bool) -> Lane:
    shift = search.shift
    for suspect in own:
        place = (machine.name, suspect.first)
        if search.refuted[place] >= ENOUGH:
            reason = f"{ENOUGH} others at the same commit were measured again and had not changed"
            search.findings.append(Finding("postponed", suspect, reason))
            continue
        inquiry = investigate(
            suspect,
            machine,
            _span(shift, suspect),
            known=_known(shift, worse=suspect.worse),
            only_known=only_known,
            alpha=search.alpha,
            attempt=attempts(shift, suspect),
        )
        finding = yield from _answer(shift, inquiry)
        # Files that are equal to the bit took no session, and there may be many of them.
        if finding.result == "refuted" and finding.judgement != IDENTICAL:
            search.refuted[place] += 1
        _write(shift, finding)
        search.findings.append(finding)


def _answer(shift: Shift, inquiry: Inquiry) -> Generator[Job, Outcome, Finding]:
    """Run an inquiry's jobs; those an earlier night has done are answered from the ledger."""
    try:
        job = next(inquiry)
        while True:
            answered = _remembered(shift, job)
            outcome = answered if answered else (yield from _run(shift, job))
            job = inquiry.send(outcome)
    except StopIteration as stop:
        return stop.value


def _run(shift: Shift, job: Job) -> Generator[Job, Outcome, Outcome]:
    job = replace(job, seconds=shift.seconds_left())
    if reason := shift.refusal(job):
        return Outcome(job, "time", reason)
    both = f"{job.commit[:8]} with {job.good[:8]}"
    shift.say(f"comparing {job.variant} of {both} on {job.machine.name}")
    outcome = shift.keep((yield job))
    if outcome.ok or (outcome.fault == "commit" and outcome.lasting):
        shift.ledger.add(
            "compared",
            job=job.id,
            found=dict(outcome.found),
            fault=outcome.fault,
            reason=outcome.reason,
        )
    return outcome


def _remembered(shift: Shift, job: Job) -> Outcome | None:
    record = shift.ledger.last("compared", job=job.id)
    if record is None:
        return None
    return Outcome(job, record["fault"], record["reason"], found=record["found"])


def _span(shift: Shift, suspect: Suspect) -> tuple[str, ...]:
    place = suspects.positions(shift.order)
    return shift.order[place[suspect.good] : place[suspect.bad] + 1]


def _known(shift: Shift, *, worse: bool) -> list[tuple[str, str]]:
    """Parent and commit of every change that came down to one commit; each once."""
    records = shift.ledger.of("change", worse=worse)
    pairs = [(each["parent"], each["commit"]) for each in records if each["commit"]]
    return list(dict.fromkeys(pairs))


def _write(shift: Shift, finding: Finding) -> None:
    suspect = finding.suspect
    place = {
        "machine": suspect.machine, "series": suspect.series,
        "good": suspect.good, "bad": suspect.bad,
    }  # fmt: skip
    if finding.result == "changed":
        shift.ledger.add("change", **place, **_change(finding), at=shift.now())
    elif finding.result in ("refuted", "unclear"):
        reason = finding.reason
        shift.ledger.add("judged", **place, result=finding.result, reason=reason, at=shift.now())


def _change(finding: Finding) -> Record:
    suspect, judged = finding.suspect, finding.judgement
    assert judged is not None
    name = "\n".join((suspect.machine, suspect.series, *finding.candidates))
    return {
        "id": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}",
        "metric": suspect.metric,
        "unit": suspect.unit,
        "variant": suspect.variant,
        "worse": suspect.worse,
        "before": floors.lowered(suspect.before, suspect.unit),
        "after": floors.lowered(suspect.after, suspect.unit),
        "parent": finding.parent,
        "commit": finding.commit,
        "candidates": list(finding.candidates),
        "ratio": judged.ratio,
        "low": judged.low,
        "high": judged.high,
        "alpha": judged.alpha,
        "how": judged.how,
        "sentence": judged.sentence,
        "confidence": finding.confidence,
    }
