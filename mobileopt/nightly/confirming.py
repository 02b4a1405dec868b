"""The second half of a night: what is suspected is measured again, and the commit is found."""

from __future__ import annotations

import math
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

from mobileopt.effort import ALPHA
from mobileopt.nightly import suspects
from mobileopt.nightly.inquiry import Finding, Inquiry, investigate
from mobileopt.nightly.jobs import Job, Lane, Machine, Outcome, drive
from mobileopt.nightly.ledger import Record
from mobileopt.nightly.shift import Shift
from mobileopt.nightly.suspects import Suspect

ENOUGH = 3
"""Refuted suspicions of one place on one machine after which the others there are not measured."""


def confirm(
    shift: Shift, open_suspects: Sequence[Suspect], machines: Sequence[Machine]
) -> list[Finding]:
    """Inquire into suspicions, the strongest first, and write down what is decided.

    Returns a finding for each; those of machines that are not here, and those beyond the night's
    number, are postponed.
    """
    here = {machine.name: machine for machine in machines}
    most = shift.config.confirm.most
    taken = [each for each in open_suspects if each.machine in here][:most]
    findings = [
        Finding("postponed", each, _why_not(each, here, most))
        for each in open_suspects
        if each not in taken
    ]
    for group in shift.lab.together(machines):
        lanes: dict[Machine, Lane] = {}
        for machine in group:
            own = [each for each in taken if each.machine == machine.name]
            lanes[machine] = _lane(shift, machine, own, ALPHA / max(1, len(taken)), findings)
        drive(lanes, shift.lab.submit)
    return findings


def unanswered(shift: Shift, found: Sequence[Suspect]) -> list[Suspect]:
    """The suspicions, or the parts of their spans, that no earlier night has answered.

    Changes that were found answer a suspicion as far as they can explain its size, by the far
    ends of their intervals: if they do not, what lies between them is suspected. A span in which
    nothing changed answers those inside it; one that stayed unclear is tried a few nights more.
    """
    return [part for each in found for part in _parts(shift, each) if not _answered(shift, part)]


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


def _answered(shift: Shift, suspect: Suspect) -> bool:
    place = suspects.positions(shift.order)
    series = {"machine": suspect.machine, "series": suspect.series}
    refuted = [
        (place[record["good"]], place[record["bad"]])
        for record in shift.ledger.of("judged", **series, result="refuted")
        if record["good"] in place and record["bad"] in place
    ]
    if suspects.covered(place[suspect.good], place[suspect.bad], refuted):
        return True
    return attempts(shift, suspect) > shift.config.confirm.retries


def attempts(shift: Shift, suspect: Suspect) -> int:
    """How often a suspicion was measured without an answer."""
    fields = {"machine": suspect.machine, "series": suspect.series, "good": suspect.good}
    return sum(1 for _ in shift.ledger.of("judged", **fields, bad=suspect.bad, result="unclear"))


def _lane(
    shift: Shift, machine: Machine, own: Sequence[Suspect], alpha: float, findings: list[Finding]
) -> Lane:
    refuted: dict[str, int] = {}
    for suspect in own:
        if refuted.get(suspect.first, 0) >= ENOUGH:
            reason = f"{ENOUGH} others at the same commit were measured again and had not changed"
            finding = Finding("refuted", suspect, reason)
        else:
            inquiry = investigate(
                suspect,
                machine,
                _span(shift, suspect),
                known=_known(shift, worse=suspect.worse),
                alpha=alpha,
                attempt=attempts(shift, suspect),
            )
            finding = yield from _answer(shift, inquiry)
        if finding.result == "refuted":
            refuted[suspect.first] = refuted.get(suspect.first, 0) + 1
        _write(shift, finding)
        findings.append(finding)


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
    outcome = yield job
    shift.keep(outcome)
    if outcome.fault in ("", "commit"):
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
        "before": suspect.before,
        "after": suspect.after,
        "parent": finding.parent,
        "commit": finding.commit,
        "candidates": list(finding.candidates),
        "ratio": judged.ratio,
        "low": judged.low,
        "high": judged.high,
        "how": judged.how,
        "sentence": judged.sentence,
        "confidence": finding.confidence,
    }


def _why_not(suspect: Suspect, here: Mapping[str, Machine], most: int) -> str:
    if suspect.machine not in here:
        return f"{suspect.machine} is not here"
    return f"{most} stronger suspicions were looked into first"
