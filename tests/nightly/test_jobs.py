import threading
from concurrent.futures import ThreadPoolExecutor

from mobileopt.nightly.jobs import Job, Machine, Outcome, drive

A, B = Machine("a", "S1"), Machine("b", "S2")


def test_a_machine_does_one_job_at_a_time_while_machines_work_side_by_side():
    busy, most, together = {A: 0, B: 0}, {A: 0, B: 0}, threading.Barrier(2, timeout=20)
    sent = []

    def perform(job):
        busy[job.machine] += 1
        most[job.machine] = max(most[job.machine], busy[job.machine])
        together.wait()  # passes only when both machines work at once
        busy[job.machine] -= 1
        return Outcome(job)

    def lane(machine):
        for number in range(5):
            outcome = yield Job("measure", machine, f"c{number}")
            sent.append(outcome.job)

    with ThreadPoolExecutor(8) as pool:
        drive({A: lane(A), B: lane(B)}, lambda job: pool.submit(perform, job))
    assert most == {A: 1, B: 1}
    for machine in (A, B):
        assert [j.commit for j in sent if j.machine == machine] == [f"c{n}" for n in range(5)]


def test_a_lane_without_jobs_ends_at_once():
    drive({A: (job for job in ())}, lambda job: None)


def test_a_job_is_the_same_whatever_time_it_has_and_another_for_another_attempt():
    job = Job("compare", A, "c1", "c0", seconds=5.0, alpha=0.01)
    assert job.id == Job("compare", A, "c1", "c0", seconds=9.0, alpha=0.001).id
    assert job.id != Job("compare", A, "c1", "c0", attempt=1).id
    assert job.id != Job("compare", B, "c1", "c0").id


def test_a_resource_is_named_by_the_hardware_serial():
    assert A.resource == "device:S1"
    assert Machine("lab-host").resource == "host:lab-host"
