from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileopt.publishing.outputs import RECORD, Outputs

PATH = "graphs/machine-a/latency.json"


def never() -> Any:
    pytest.fail("it was made again")


def published(html: Path, previous: Path | None = None, inputs: Any = ("1",), make: Any = None):
    """A site of one file; gives how many were written."""
    outputs = Outputs(html, previous)
    outputs.put(PATH, inputs, make or (lambda: [1]))
    outputs.finish()
    return outputs.written


@pytest.fixture
def old(tmp_path: Path) -> Path:
    assert published(tmp_path / "old") == 1
    return tmp_path / "old"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return tmp_path / "new"


def test_a_file_of_unchanged_inputs_is_the_last_ones_and_is_not_made(old: Path, new: Path):
    assert published(new, old, make=never) == 0
    assert (new / PATH).stat().st_ino == (old / PATH).stat().st_ino
    assert published(new.with_name("third"), new, make=never) == 0


@pytest.mark.parametrize("inputs", [("2",), ("1", ""), (b"1\0",), ()])
def test_a_file_of_other_inputs_is_made_and_the_last_one_stays(old: Path, new: Path, inputs: Any):
    assert published(new, old, inputs, lambda: [2]) == 1
    assert json.loads((new / PATH).read_text()) == [2]
    assert json.loads((old / PATH).read_text()) == [1]


def test_where_one_input_ends_and_the_next_begins_makes_a_difference(tmp_path: Path, new: Path):
    published(tmp_path / "old", inputs=("ab", "c"))
    assert published(new, tmp_path / "old", ("a", "bc")) == 1


def test_a_published_file_that_was_lost_is_made_again(old: Path, new: Path):
    (old / PATH).unlink()
    assert published(new, old) == 1
    assert json.loads((new / PATH).read_text()) == [1]


@pytest.mark.parametrize("text", ["", "[1, 2", '["no", "record"]', f'{{"{PATH}": 3}}', "\udcff"])
def test_a_damaged_record_costs_time_and_nothing_else(old: Path, new: Path, text: str):
    (old / RECORD).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert published(new, old) == 1
    assert json.loads((new / PATH).read_text()) == [1]


def test_what_is_no_number_is_null(new: Path):
    published(new, make=lambda: {"values": np.array([1.5, np.nan, np.inf])})
    assert json.loads((new / PATH).read_text()) == {"values": [1.5, None, None]}


def test_a_file_whose_place_is_taken_leaves_the_last_site_as_it_was(old: Path, new: Path):
    outputs = Outputs(new, old)
    outputs.put(PATH, ("1",), never)
    outputs.put(PATH, ("2",), lambda: [2])
    assert json.loads((new / PATH).read_text()) == [2]
    assert json.loads((old / PATH).read_text()) == [1]
