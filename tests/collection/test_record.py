from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from mobileopt.collection.record import Record, Subject, Times, Verdict
from mobileopt.collection.traces import MODELS
from mobileopt.device import State
from mobileopt.errors import MeasurementError
from mobileopt.run import Validity
from tests.collection import lab

SUSPECT, INVALID = Validity("suspect", ("hot",)), Validity("invalid", ("an emulator",))


def record(*validities: Validity, failures: int = 0, throttled: bool = False) -> Record:
    verdicts = {
        f"variant {number}": Verdict(each, {}, (), throttled)
        for number, each in enumerate(validities)
    }
    failed = {f"failure {number}": MeasurementError("no") for number in range(failures)}
    times = Times(10.0, 6.0, 1.0, 2.0, 4)
    state = State()
    return Record({}, failed, verdicts, {}, "", state, state, None, False, "", times, 0)


def test_a_model_lies_on_a_phone_under_its_content_whatever_it_is_called(tmp_path: Path):
    made = lab.forge(lab.order(tmp_path, ()), lab.VARIANTS[0], 1000)
    subject = Subject(made, lab.program(tmp_path))
    named = replace(subject, artifact=replace(made, file="$(reboot); x.pt"))
    assert named.remote == f"{MODELS}/{made.sha256[:32]}.pt" == subject.remote
    assert subject.name == str(lab.VARIANTS[0])


def test_overhead_is_what_is_left_when_programs_pushing_and_waiting_are_taken_off():
    assert record().times.overhead == pytest.approx(1.0)


def test_of_two_sessions_the_better_has_fewer_failures_and_then_the_better_verdict():
    better = [
        record(),
        record(Validity(), SUSPECT),
        record(INVALID, Validity()),
        record(failures=1),
        record(INVALID, failures=1),
        record(failures=2),
    ]
    assert all(one.rank < other.rank for one, other in pairwise(better))
    assert record(Validity()).rank == record().rank


def test_one_invalid_variant_makes_a_session_void_and_a_suspect_one_does_not():
    assert record(Validity(), INVALID).void
    assert not record(Validity(), SUSPECT, failures=1).void


def test_one_throttled_variant_is_enough_to_do_a_session_once_more():
    one, other = record(SUSPECT, throttled=True), record(SUSPECT)
    both = replace(one, verdicts={**other.verdicts, "another": one.verdicts["variant 0"]})
    assert [each.throttled for each in (one, other, both)] == [True, False, True]
