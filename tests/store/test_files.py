import itertools
import json
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime

import pytest

from mobileopt.errors import StoreError
from mobileopt.store import Benchmark, Store, StoreWarning, files

from .entries import COMMIT, entry, values

KILLS = 200
MID_SAVE = 10
# Enough rows for a save to take long in comparison with what surrounds it.
SIZES = Benchmark(
    "size.track_bytes", "1", "bytes", params=(tuple(range(400)),), param_names=("model",)
)


def forked(work):
    """Run `work` in a child; returns its process id. It never comes back to pytest."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException as error:
        print(repr(error), file=sys.__stderr__)
    finally:
        os._exit(status)


def killed_in_the_middle(save, rng):
    """Call `save(0)`, `save(1)`, ... in a child and kill it at some moment after the first."""
    reading, writing = os.pipe()

    def save_for_ever():
        for number in itertools.count():
            save(number)
            if not number:
                os.write(writing, b".")

    child = forked(save_for_ever)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    time.sleep(rng.uniform(0, 0.04))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def is_damaged(path):
    try:
        json.loads(path.read_text())
    except ValueError:
        return True
    return False


def many_models(second, models):
    return [
        entry(second, (float(second + 1),), benchmark=SIZES, combination=(model,))
        for model in models
    ]


@pytest.mark.slow
def test_a_save_killed_at_any_moment_leaves_no_damaged_file(store):
    store.add(*many_models(0, range(400)))
    path = next(store.path.glob("pixel6/aaaaaaaa-*.json"))

    def saves_from(start):
        return lambda number: store.add(*many_models(start + number, [number % 400]))

    # How often a kill falls into a save depends on how fast the machine saves; a few must.
    rng, kill, mid_save, damaged = random.Random(7), 0, 0, 0
    while kill < KILLS or (mid_save < MID_SAVE and kill < 10 * KILLS):
        kill += 1
        killed_in_the_middle(saves_from(kill * 10**4), rng)
        damaged += sum(is_damaged(each) for each in store.path.rglob("*.json"))
        mid_save += bool(list(path.parent.glob(f"{files._SAVING}*")))
    print(f"{kill} kills, {mid_save} in the middle of a save, {damaged} files damaged")
    assert mid_save >= MID_SAVE
    assert damaged == 0
    # The next writer is neither blocked by a dead one's lock nor left its half-written files.
    store.add(entry(5))
    assert not list(path.parent.glob(f"{files._SAVING}*"))
    assert len(values(store)) == 401


def test_the_same_killer_damages_what_asv_saves_in_place(store):
    from asv.results import Results

    store.add(*many_models(0, range(400)))
    path = next(store.path.glob("pixel6/aaaaaaaa-*.json"))
    whole = path.read_bytes()
    results = Results.load(str(path))
    in_place = getattr(Results.save, "__wrapped__", Results.save)

    rng, damaged = random.Random(7), 0
    for _ in range(40):
        killed_in_the_middle(lambda _: in_place(results, str(store.path)), rng)
        damaged += is_damaged(path)
        path.write_bytes(whole)
    print(f"asv in place: 40 kills, {damaged} files damaged")
    assert damaged > 0


@pytest.mark.slow
def test_two_processes_saving_one_commit_at_once_lose_nothing(store):
    latency = Benchmark(
        "device.Latency.track", "1", params=(tuple(range(KILLS)),), param_names=("model",)
    )
    sizes = Benchmark("size.track_bytes", "1", "bytes", latency.params, latency.param_names)

    def writer(benchmark):
        def work():
            for index in range(KILLS):
                store.add(entry(index, (1.0 + index,), benchmark=benchmark, combination=(index,)))

        return work

    children = [forked(writer(benchmark)) for benchmark in (latency, sizes)]
    statuses = [os.waitpid(child, 0)[1] for child in children]
    expected = {
        (benchmark.name, index): 1.0 + index
        for benchmark in (latency, sizes)
        for index in range(KILLS)
    }
    frame = store.frame()
    measured = frame[frame.status == "measured"]
    keys = zip(measured.benchmark.astype(str), measured.model.astype(int), strict=True)
    found = dict(zip(keys, measured.value, strict=True))
    print(f"{len(expected)} saves by two processes, {len(expected.keys() - found.keys())} lost")
    assert statuses == [0, 0]
    assert found == expected
    assert len(list(store.runs())) == len(expected)


def test_a_reader_beside_a_writer_never_sees_half_a_file(store):
    store.add(*many_models(0, range(400)))
    path = next(store.path.glob("pixel6/aaaaaaaa-*.json"))

    def save_for_ever():
        for second in range(1, 10**6):
            store.add(*many_models(second, [0]))

    child = forked(save_for_ever)
    try:
        contents = [path.read_text() for _ in range(300) if not time.sleep(0.002)]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert len(set(contents)) > 3
    assert [json.loads(text)["commit_hash"] for text in contents] == [COMMIT] * 300


def test_a_lock_of_a_killed_process_blocks_nobody(store):
    store.add(entry(0))
    folder = store.path / "pixel6"
    read, write = os.pipe()

    def hold_for_ever():
        with files.locked(folder):
            os.write(write, b"x")
            time.sleep(600)

    child = forked(hold_for_ever)
    os.read(read, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert store.add(entry(1)) == 1


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    files.replace(path, "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"file\.json cannot be written: No space left"):
        files.replace(path, "new")
    assert [each.name for each in tmp_path.iterdir()] == ["file.json"]
    assert path.read_text() == "old"


def test_a_replaced_file_keeps_its_mode_and_a_new_one_can_be_read_by_all(tmp_path):
    path = tmp_path / "file.json"
    files.replace(path, "1")
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o664)
    files.replace(path, "2")
    assert path.stat().st_mode & 0o777 == 0o664


def test_a_torn_line_costs_its_own_record_and_no_other(tmp_path):
    path = tmp_path / "side.jsonl"
    files.append_lines(path, [{"run": "1"}])
    with path.open("a") as file:
        file.write('{"run": "2", "conte')
    files.append_lines(path, [{"run": "3"}])
    with pytest.warns(StoreWarning, match=r"side\.jsonl:2 is not a whole record"):
        assert files.read_lines(path) == [{"run": "1"}, {"run": "3"}]


def test_lines_hold_whatever_a_context_holds(tmp_path):
    path = tmp_path / "side.jsonl"
    record = {"nan": float("nan"), "inf": [float("-inf")], "at": datetime(2026, 1, 1, tzinfo=UTC)}
    files.append_lines(path, [record])
    assert json.loads(path.read_text()) == {
        "nan": None,
        "inf": [None],
        "at": "2026-01-01 00:00:00+00:00",
    }


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match="cannot be locked"):
        Store(tmp_path / "results").add(entry())
    assert (tmp_path / "results").read_text() == "a file"


def test_a_file_of_a_cache_is_whole_and_what_killed_processes_left_goes_after_an_hour(tmp_path):
    old, new = tmp_path / ".save-a.tmp", tmp_path / ".save-b.tmp"
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, 0))
    files.keep(tmp_path / "cache", lambda file: file.write(b"whole"))
    assert (tmp_path / "cache").read_bytes() == b"whole"
    assert new.exists()
    assert not old.exists()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    files.keep(tmp_path / "file" / "cache", lambda file: file.write(b"whole"))


def test_a_write_that_fails_leaves_the_old_file_and_nothing_half_written(tmp_path):
    def fails(file):
        file.write(b"ha")
        raise ValueError("in the middle")

    files.keep(tmp_path / "cache", lambda file: file.write(b"whole"))
    with pytest.raises(ValueError, match="in the middle"):
        files.keep(tmp_path / "cache", fails)
    assert [each.name for each in tmp_path.iterdir()] == ["cache"]
    assert (tmp_path / "cache").read_bytes() == b"whole"
