import mmap

from mobileopt.metrics import page_faults

PAGES = 1000


def test_every_page_touched_for_the_first_time_is_a_fault():
    def touch():
        with mmap.mmap(-1, PAGES * mmap.PAGESIZE) as memory:
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            for page in range(PAGES):
                memory[page * mmap.PAGESIZE] = 1

    assert PAGES <= page_faults.count(touch) < 1.1 * PAGES


def test_memory_that_is_held_costs_none_when_it_is_touched_again():
    memory = bytearray(PAGES * mmap.PAGESIZE)
    assert page_faults.count(lambda: memory.count(1)) < 0.1 * PAGES
