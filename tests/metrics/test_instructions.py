import shutil
import subprocess
import sys

import pytest

from mobileopt.errors import CapabilityError, MeasurementError
from mobileopt.metrics import instructions

needs_valgrind = pytest.mark.skipif(
    bool(instructions.missing()) or shutil.which("gcc") is None,
    reason="counts under callgrind: needs Debian's packages valgrind and gcc",
)

# What `python -m mobileopt.counted_execution` does, with an amount of work that is known exactly.
PROGRAM = r"""
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

int main(int count, char **arguments) {
    struct pollfd told = {0, POLLIN, 0};
    puts("ready");
    fflush(stdout);
    while (poll(&told, 1, 10) == 0) {}
    for (int each = 1; each < count; each++) {
        volatile long work = atol(arguments[each]);
        CALLGRIND_TOGGLE_COLLECT;
        while (work > 0) { work--; }
        CALLGRIND_TOGGLE_COLLECT;
        CALLGRIND_DUMP_STATS;
        puts("counted");
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    (folder / "work.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-O0", "work.c", "-o", "work"], check=True, cwd=folder)
    return str(folder / "work")


@needs_valgrind
def test_equal_work_is_equal_counts_in_every_process_and_more_work_adds_exactly_its_own(program):
    first = instructions.run([program, "1000", "1000", "2000", "4000"])
    assert first[0] == first[1]
    thousand = first[2] - first[1]
    assert thousand % 1000 == 0
    assert first[3] - first[2] == 2 * thousand
    assert instructions.run([program, "1000", "1000", "2000", "4000"]) == first


@needs_valgrind
def test_nothing_before_the_collection_is_switched_on_counts(program):
    assert instructions.run([program, "0"])[0] < 50


@needs_valgrind
def test_every_line_the_program_says_is_told(program):
    lines = []
    instructions.run([program, "1", "1", "1"], on_line=lambda: lines.append(1))
    assert len(lines) == 3


@needs_valgrind
def test_a_program_that_ends_early_is_an_error_with_its_last_words():
    with pytest.raises(MeasurementError, match="callgrind ended: out of luck"):
        instructions.run([sys.executable, "-S", "-c", "import sys; sys.exit('out of luck')"])


def test_fewer_dumps_than_passes_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(instructions, "run", lambda *_: [1, 2, 3])
    with pytest.raises(MeasurementError, match="counted 3 passes instead of 4"):
        instructions.count([tmp_path, tmp_path], passes=2)


def test_the_count_is_the_middle_one_of_each_artifacts_passes(monkeypatch, tmp_path):
    monkeypatch.setattr(instructions, "run", lambda *_: [5, 9, 5, 7, 2, 1])
    assert instructions.count([tmp_path, tmp_path], passes=3) == [5, 2]


def test_a_dump_without_its_total_is_an_error(tmp_path):
    (tmp_path / "counts.1").write_text("events: Ir\n")
    with pytest.raises(MeasurementError, match="no line 'totals:'"):
        instructions._totals(tmp_path)


def test_dumps_are_read_in_the_order_they_were_written(tmp_path):
    for number in (10, 9, 2, 1):
        (tmp_path / f"counts.{number}").write_text(f"events: Ir\n\ntotals: {number}\n")
    (tmp_path / "counts").write_text("totals: 99\n")  # what is left at the end
    assert instructions._totals(tmp_path) == [1, 2, 9, 10]


def test_without_valgrind_the_error_names_the_debian_package(monkeypatch):
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    with pytest.raises(CapabilityError, match=r"valgrind and vgdb \(Debian package: valgrind\)"):
        instructions.run(["true"])
