import os
import signal
from dataclasses import replace

import pytest

from mobileopt import build, network, recipes
from mobileopt.conditions import Memory
from mobileopt.errors import MeasurementError
from mobileopt.runners import host
from mobileopt.runners.host import Conditioned, Worker


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    workshop = build.Workshop(network.load("mlp"))
    out = tmp_path_factory.mktemp("artifacts")
    return build.export(workshop, recipes.parse("fx-float-nchw-mobile"), out).folder


def test_a_worker_times_as_many_passes_as_it_is_asked_for(folder):
    with Worker(folder) as worker:
        worker.wait()
        first, second = worker.sample(4, 0), worker.sample(2, 0)
    assert (len(first.wall), len(first.cpu), len(second.wall)) == (4, 4, 2)


def test_a_fresh_input_is_one_allocation_more_and_its_bytes_and_a_refilled_one_is_none(folder):
    counted = {}
    for word in ("reused", "refilled", "fresh"):
        with Worker(Conditioned(folder, Memory(word, "kept"))) as worker:
            worker.wait()
            assert len(worker.sample(3, 0).wall) == 3
            counted[word] = worker.allocations()
    assert counted["refilled"] == counted["reused"]
    assert counted["fresh"].count == counted["reused"].count + 1
    assert counted["fresh"].bytes == counted["reused"].bytes + 4 * 784


def test_memory_that_is_kept_takes_no_page_faults(folder):
    with Worker(folder) as worker:
        worker.wait()
        assert min(worker.sample(5, 0).page_faults for _ in range(3)) == 0


def test_a_pinned_worker_runs_on_that_core_alone(folder):
    core = max(os.sched_getaffinity(0))
    with Worker(folder) as worker:
        worker.wait()
        worker.pin(core)
        assert os.sched_getaffinity(worker._process.pid) == {core}


def test_a_worker_is_gone_when_its_block_ends(folder):
    with Worker(folder) as worker:
        worker.wait()
        pid = worker._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_that_cannot_load_says_why(tmp_path):
    with Worker(tmp_path) as worker, pytest.raises(MeasurementError, match="as a manifest"):
        worker.wait()


def test_a_worker_that_is_killed_is_a_measurement_error(folder):
    with Worker(folder) as worker:
        worker.wait()
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(MeasurementError, match="ended: exit code -9"):
            worker.sample(1, 0)


def test_artifacts_served_together_answer_each_from_one_process(folder, tmp_path):
    workshop = build.Workshop(network.load("mlp"))
    other = build.export(workshop, recipes.parse("unfused-float-nchw-eager"), tmp_path).folder
    first, second = host.together("both", [folder, other])
    assert replace(first, ask=()) == replace(second, ask=())
    with Worker(first) as worker:
        worker.wait()
        assert len(worker.sample(3, 0, **dict(second.ask)).wall) == 3
        assert len(worker.sample(2, 0, **dict(first.ask)).wall) == 2


def test_a_process_that_says_nothing_is_hung_after_a_while():
    program = host.Program("a program", ("sleep", "60"))
    with Worker(program, patience=0.1) as worker, pytest.raises(MeasurementError, match="nothing"):
        worker.wait()


@pytest.mark.parametrize("said", ["folding ...", "7", "{'ready': 1}"])
def test_a_process_that_says_what_is_no_answer_is_a_measurement_error_with_what_it_said(said):
    program = host.Program("a program", ("echo", said))
    with Worker(program) as worker, pytest.raises(MeasurementError, match="a program said") as told:
        worker.wait()
    assert said in str(told.value)
