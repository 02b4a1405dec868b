import pytest

from mobileopt.nightly.inquiry import investigate
from mobileopt.nightly.jobs import Machine, Outcome
from mobileopt.nightly.judgement import Judgement
from mobileopt.nightly.suspects import Suspect

SPAN = [f"c{n}" for n in range(6)]
HOST = Machine("host")


def suspect(worse=True):
    levels = (1.0, 1.2) if worse else (1.2, 1.0)
    return Suspect(
        "host", "series", "latency.time_forward", "seconds", "mlp/unfused-float-nchw-eager",
        SPAN[0], SPAN[-1], SPAN[3], *levels, 9.0,
    )  # fmt: skip


def judged(ratio, half=0.02, alpha=0.01):
    verdict = "slower" if ratio - half > 1.03 else "faster" if ratio + half < 0.97 else "same"
    return Judgement(verdict, "session", ratio, ratio - half, ratio + half, alpha, f"{ratio}")


def level(commit, slow_from=3, size=1.2):
    return size if int(commit[1:]) >= slow_from else 1.0


def run(inquiry, answer):
    """Answer an inquiry's jobs; its finding and the pairs it asked for."""
    asked = []
    job = next(inquiry)
    while True:
        asked.append((job.good, job.commit))
        try:
            job = inquiry.send(answer(job))
        except StopIteration as stop:
            return stop.value, asked


def truthful(job, **truth):
    ratio = level(job.commit, **truth) / level(job.good, **truth)
    return Outcome(job, found=judged(ratio, alpha=job.alpha).as_dict())


@pytest.mark.parametrize("slow_from", range(1, 6))
def test_a_slower_commit_is_made_sure_of_and_named_with_its_size_and_confidence(slow_from):
    inquiry = investigate(suspect(), HOST, SPAN)
    finding, asked = run(inquiry, lambda job: truthful(job, slow_from=slow_from))
    assert finding.result == "changed"
    assert (finding.parent, finding.commit) == (SPAN[slow_from - 1], SPAN[slow_from])
    assert finding.judgement.ratio == pytest.approx(1.2)
    assert finding.confidence == pytest.approx(1 - 0.01 * len(asked))
    assert asked[0] == (SPAN[0], SPAN[-1])
    assert len(asked) <= 5


def test_commits_that_are_alike_refute_the_suspicion_after_one_comparison():
    finding, asked = run(investigate(suspect(), HOST, SPAN), lambda j: truthful(j, slow_from=9))
    assert (finding.result, len(asked)) == ("refuted", 1)


def test_an_improvement_is_followed_in_the_other_direction():
    inquiry = investigate(suspect(worse=False), HOST, SPAN)
    finding, _ = run(inquiry, lambda job: truthful(job, size=0.8))
    assert (finding.result, finding.commit) == ("changed", "c3")


def test_a_commit_that_does_not_build_is_skipped():
    def answer(job):
        return Outcome(job, "commit", "it does not build") if job.commit == "c2" else truthful(job)

    finding, _ = run(investigate(suspect(), HOST, SPAN), answer)
    assert finding.commit == ""
    assert finding.candidates == ("c2", "c3")
    assert finding.parent == "c1"


def unclear(ratio, half, how="session"):
    return judged(ratio, half).as_dict() | {"verdict": "unclear", "how": how, "sentence": "hm"}


@pytest.mark.parametrize(
    ("found", "result"),
    [
        (unclear(1.15, 0.1), "unclear"),  # could be all of the suspected 20 %
        (unclear(1.01, 0.04), "refuted"),  # at most 5 %, and 20 % were suspected
        (unclear(1.01, 0.04, how="broken"), "unclear"),
    ],
)
def test_a_session_that_does_not_decide_refutes_only_what_it_excludes(found, result):
    finding, asked = run(investigate(suspect(), HOST, SPAN), lambda job: Outcome(job, found=found))
    assert (finding.result, finding.reason, len(asked)) == (result, "hm", 1)


def test_a_broken_session_puts_a_commit_on_no_side():
    def answer(job):
        fields = truthful(job).found
        return Outcome(job, found=fields | {"how": "broken"} if job.commit == "c2" else fields)

    finding, _ = run(investigate(suspect(), HOST, SPAN), answer)
    assert finding.candidates == ("c2", "c3")


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_when_time_is_up_the_inquiry_is_postponed_wherever_it_is(after):
    count = iter(range(100))

    def answer(job):
        return truthful(job) if next(count) < after else Outcome(job, "time", "no time was left")

    finding, asked = run(investigate(suspect(), HOST, SPAN), answer)
    assert (finding.result, finding.reason) == ("postponed", "no time was left")
    assert len(asked) == after + 1


def test_a_commit_that_was_found_elsewhere_is_tried_first():
    inquiry = investigate(suspect(), HOST, SPAN, known=[("c2", "c3"), ("gone", "c9")])
    finding, asked = run(inquiry, truthful)
    assert asked == [("c2", "c3")]
    assert finding.commit == "c3"


def test_a_commit_found_elsewhere_that_is_not_it_here_starts_a_search_of_its_own():
    inquiry = investigate(suspect(), HOST, SPAN, known=[("c0", "c1")])
    finding, asked = run(inquiry, truthful)
    assert asked[:2] == [("c0", "c1"), ("c0", "c5")]
    assert finding.commit == "c3"


def test_a_change_shared_by_several_commits_is_told_as_theirs():
    creep = dict(zip(SPAN, (1.0, 1.025, 1.05, 1.075, 1.1, 1.125), strict=True))

    def answer(job):
        return Outcome(job, found=judged(creep[job.commit] / creep[job.good], 0.001).as_dict())

    finding, _ = run(investigate(suspect(), HOST, SPAN), answer)
    assert finding.result == "changed"
    assert finding.candidates == tuple(SPAN[1:])
    assert finding.judgement.ratio == pytest.approx(1.125)
