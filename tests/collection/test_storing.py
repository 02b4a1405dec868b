from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mobileopt.collection import storing
from mobileopt.collection.course import Setting
from mobileopt.collection.record import Record, Subject, Times, Verdict
from mobileopt.collection.storing import Filing, environment, machine, named, sentence
from mobileopt.device import Cpu, Device, State
from mobileopt.errors import MeasurementError, ProgramError
from mobileopt.run import Plan, Validity
from mobileopt.store import Entry
from tests.collection import lab

PHONE = Device("SECRET", model="Pixel 8", android="15", abis=("arm64-v8a",), memory=8 * 2**30)
STARTED = datetime(2026, 11, 2, tzinfo=UTC)
NAME = str(lab.VARIANTS[0])
CORES = tuple(Cpu(index, cluster=4 * (index // 4)) for index in range(8))


def entry(folder: Path, validity: Validity, believed: bool = False, **changed: Any) -> Entry:
    order = lab.order(folder, ())
    subject = Subject(lab.forge(order, lab.VARIANTS[0], 1000), lab.program(folder))
    state = State(cpus=CORES)
    verdicts = {NAME: Verdict(validity, {4: {1e9: 1.0, 2e9: 3.0}}, (4, 5), False)}
    made = Record(
        {NAME: [(0.1, 0.2), (0.3,)]}, {}, verdicts, {NAME: Plan()}, NAME, state, state, None,
        False, "all rounds were done", Times(1.0, 1.0, 0.0, 0.0, 2), 0,
    )  # fmt: skip
    phone: Any = None
    setting = Setting(phone, PHONE, Plan(), order.budget)
    filing = Filing(PHONE, lab.COMMIT, environment(lab.VERSIONS), lab.BENCHMARK)
    return filing.measured(replace(made, **changed), subject, STARTED, setting, believed=believed)


@pytest.mark.parametrize(
    ("validity", "believed", "reason"),
    [
        (Validity(), False, None),
        (Validity(), True, None),
        (Validity("suspect", ("hot",)), False, None),
        (Validity("suspect", ("hot", "busy")), True, "suspect: hot; busy"),
        (Validity("invalid", ("an emulator",)), False, "invalid: an emulator"),
    ],
)
def test_what_may_not_be_believed_is_no_result_and_its_samples_are_kept(
    tmp_path: Path, validity: Validity, believed: bool, reason: str | None
):
    made = entry(tmp_path, validity, believed)
    assert made.reason == reason
    assert (made.samples or made.context["samples"]) == (0.1, 0.2, 0.3)
    assert bool(made.samples) == (reason is None)


def test_a_failure_is_told_by_its_name_and_its_sentence(tmp_path: Path):
    failures = {NAME: ProgramError("damaged_model", "the model is damaged")}
    made = entry(tmp_path, Validity(), failures=failures, rounds={}, verdicts={})
    assert made.reason == "ProgramError.damaged_model: the model is damaged"
    assert made.context["error"] == "ProgramError.damaged_model"
    assert made.context["validity"] is None


def test_the_context_is_json_with_a_core_a_cluster_and_clocks_by_name(tmp_path: Path):
    told = json.loads(json.dumps(entry(tmp_path, Validity()).context))
    assert [each["index"] for each in told["before"]["cpus"]] == [0, 4]
    assert told["hertz"] == {"4": 1.75e9}
    assert told["residency"] == {"4": {"1000000000": 1.0, "2000000000": 3.0}}
    assert told["rounds"] == [2, 1]


def test_a_phone_is_described_as_a_machine_as_far_as_it_tells():
    assert machine(replace(PHONE, soc="Tensor G3", capacities={0: 180, 4: 1024})) == {
        "machine": PHONE.name, "os": "Android 15", "arch": "arm64-v8a", "cpu": "Tensor G3",
        "num_cpu": "2", "ram": "8 GiB",
    }  # fmt: skip
    silent = machine(Device("SECRET"))
    assert set(silent.values()) == {Device("SECRET").name, "Android", ""}


def test_an_error_nobody_has_foreseen_says_where_it_came_up():
    try:
        raise ZeroDivisionError("oh\nno")
    except ZeroDivisionError as caught:
        told = sentence(caught)
    assert told.startswith("an error nobody has foreseen in test_storing.py:")
    assert told.count("\n") == 0
    assert sentence(KeyError("x")) == "an error nobody has foreseen: KeyError('x')"
    assert sentence(MeasurementError("no samples")) == "no samples"
    assert named(KeyError("x")) == "KeyError"


def test_phones_are_filed_under_the_same_names_as_the_host(tmp_path):
    from mobileopt.asv_plugin.environment import MEASURED, pin

    assert storing.MEASURED == MEASURED
    assert storing.versions() == pin({})
