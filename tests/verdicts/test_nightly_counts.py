import pytest

from benchmarks.verdicts import nightly_counts as counts
from benchmarks.verdicts.nightly_counts import Expected
from benchmarks.verdicts.nightly_scratch import FUSED, UNFUSED
from mobileopt.nightly.ledger import Ledger

SLOW, OTHER = "5" * 40, "7" * 40
EXPECTED = Expected(phones=1, host=True, variants=2, slow=SLOW)


def change(machine: str, *commits: str, variant: str = FUSED, metric: str = counts.LATENCY):
    return {
        "new": True,
        "machine": machine,
        "metric": metric,
        "variant": variant,
        "ratio": 1.3,
        "candidates": [{"hash": each, "subject": "A change"} for each in commits or (SLOW,)],
    }


def report(*changes, undecided=(), tips=(True, True)):
    return {
        "changes": list(changes),
        "undecided": list(undecided),
        "machines": [{"machine": str(at), "has_tip": tip} for at, tip in enumerate(tips)],
    }


WORSE = {"variant": UNFUSED, "before": 1.0, "after": 1.2}
BETTER = WORSE | {"after": 0.8}
BOTH = (change("host"), change("phone"))


def test_a_night_is_right_that_blames_the_slow_commit_on_every_machine():
    size = change("host", metric="size.track_artifact")
    assert counts.complaints(report(*BOTH, size), 1, EXPECTED) == []


@pytest.mark.parametrize(
    ("told", "code", "wrong"),
    [
        (report(change("host")), 1, "the slow commit is blamed on 1 machines"),
        (report(*BOTH, change("host", OTHER)), 1, "false alarm"),
        (report(*BOTH, change("host", SLOW, OTHER)), 1, "false alarm"),
        (report(*BOTH, change("host", variant=UNFUSED)), 1, "false alarm"),
        (report(*BOTH, undecided=[WORSE]), 2, "the exit code is 2"),
        (report(*BOTH, tips=(True, False)), 1, "1 lacks the tip"),
        (report(*BOTH, tips=(True,)), 1, "1 machines took part"),
        (report(*BOTH), 2, "the exit code is 2"),
    ],
)
def test_anything_else_is_wrong_and_says_what(told, code, wrong):
    [sentence] = counts.complaints(told, code, EXPECTED)
    assert sentence.startswith(wrong)


def test_after_a_quiet_night_any_new_change_is_a_false_alarm():
    quiet = Expected(phones=1, host=True, variants=2)
    assert counts.complaints(report(), 0, quiet) == []
    [alarm, code] = counts.complaints(report(change("host", OTHER)), 1, quiet)
    assert (alarm.partition(":")[0], code) == ("false alarm", "the exit code is 1")


@pytest.mark.parametrize(("undecided", "code"), [([WORSE], 2), ([BETTER], 0), ([], 0)])
def test_a_quiet_night_that_could_not_tell_says_so_and_raises_no_alarm(undecided, code):
    quiet = Expected(phones=1, host=True, variants=2)
    assert counts.complaints(report(undecided=undecided), code, quiet) == []
    assert counts.complaints(report(undecided=undecided), 1, quiet) == ["the exit code is 1"]


def test_jobs_done_twice_are_counted_and_tries_that_failed_are_not(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for job, fault in (("a", ""), ("b", "machine"), ("b", ""), ("c", ""), ("c", "")):
        ledger.add("took", job=job, fault=fault)
    assert counts.repeated(ledger.path) == ["c"]


def test_only_comparisons_that_were_measured_are_sessions(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for how in ("session", "broken", "identical", "exact"):
        ledger.add("compared", fault="", found={"how": how})
    ledger.add("compared", fault="commit", found={})
    assert counts.sessions(ledger.path) == 2


def test_a_host_has_a_latency_and_a_size_of_each_variant_and_a_phone_a_latency():
    assert EXPECTED.values(10) == 10 * 2 * 3
