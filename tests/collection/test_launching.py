from __future__ import annotations

from dataclasses import replace

import pytest

from mobileopt.artifact import digest
from mobileopt.collection import traces
from mobileopt.collection.launching import launch
from mobileopt.collection.record import Subject
from mobileopt.errors import ProgramError
from mobileopt.run import Plan
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]

PLAN = Plan(iterations=4, warmup=1, threads=1)
CRASH_LOG = """printf "F DEBUG   : Abort message: '%s'\\n" "$(cat "$PHONE_ROOT/state/said")\""""


@pytest.fixture
def subject(connected, tmp_path) -> Subject:
    """A model and its program, both on the phone."""
    order = lab.order(tmp_path, lab.VARIANTS[:1])
    made = Subject(lab.forge(order, lab.VARIANTS[0], 1000), lab.program(tmp_path))
    for remote, path in (
        (made.remote, made.artifact.path),
        (made.program.remote, made.program.path),
    ):
        target = connected.root.path(remote)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        target.chmod(0o755)
    assert digest(connected.root.path(made.remote)) == made.artifact.sha256
    return made


def run(connected, subject, plan=PLAN, leaders=(0, 4)):
    return launch(connected.phone, subject, plan, leaders, deadline=20)


def test_a_launch_tells_the_clocks_of_the_time_its_program_ran_and_no_other(connected, subject):
    connected.root.clock(4, 402_000)
    lab.knobs(connected.root, "khz=2914000")
    found = run(connected, subject)
    assert len(found.outcome.latency.samples) == 4
    spent = {hz: seconds for hz, seconds in found.residency[4].items() if seconds}
    assert spent == {2.914e9: pytest.approx(0.1)}


def test_only_the_clusters_asked_for_are_told(connected, subject):
    assert set(run(connected, subject, leaders=(4,)).residency) == {4}
    connected.root.remove("sys/devices/system/cpu/cpufreq/policy4/stats")
    assert run(connected, subject, leaders=(4,)).residency == {}


def test_a_launch_tells_on_which_cores_its_program_could_run(connected, subject):
    assert run(connected, subject).affinity == tuple(range(8))
    assert run(connected, subject, replace(PLAN, cores=(4, 5))).affinity == (4, 5)


def test_the_process_written_down_is_the_program(connected, subject):
    lab.knobs(connected.root, 'echo $$ > "$PHONE_ROOT/state/pid"')
    run(connected, subject, replace(PLAN, cores=(4,)))
    assert connected.root.path(traces.RUNNING).read_text() == connected.root.read("state/pid")


def test_a_launch_is_one_round_trip(connected, subject, monkeypatch):
    trips: list[str] = []
    talk = connected.phone.talk
    monkeypatch.setattr(
        connected.phone, "talk", lambda what, *rest: trips.append(what) or talk(what, *rest)
    )
    run(connected, subject)
    assert len(trips) == 1


def test_a_program_that_is_not_there_is_named(connected, subject):
    connected.root.path(subject.program.remote).unlink()
    with pytest.raises(ProgramError) as caught:
        run(connected, subject)
    assert caught.value.fault == "missing_program"


@pytest.mark.parametrize(
    ("said", "fault", "sentence"),
    [
        ("Following ops cannot be found: aten::x", "missing_operator", "lacks an operator"),
        ("out of tune", "aborted", "its last words: 'out of tune'"),
        ("", "aborted", "it aborted"),
    ],
)
def test_the_last_words_of_a_program_that_aborts_silently_are_in_the_crash_log(
    connected, subject, said, fault, sentence
):
    lab.knobs(connected.root, "fault=abort")
    connected.root.write("state/said", said)
    connected.root.tool("logcat", CRASH_LOG)
    with pytest.raises(ProgramError, match=sentence) as caught:
        run(connected, subject)
    assert caught.value.fault == fault


def test_a_fault_that_is_named_needs_no_last_words(connected, subject):
    lab.knobs(connected.root, "fault=truncated")
    connected.root.tool("logcat", 'touch "$PHONE_ROOT/state/asked"')
    with pytest.raises(ProgramError):
        run(connected, subject)
    assert not (connected.root.folder / "state/asked").exists()
