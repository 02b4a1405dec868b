import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.errors import StoreError
from mobileopt.store.documents import (
    COLUMNS,
    Cell,
    FormatError,
    MisfitError,
    canonical,
    check,
    dump,
    parse,
    parse_row,
)

from .drawn import cells_of, documents, few, text

keys = st.sampled_from(
    ["version", "results", "result_columns", "params", "commit_hash", "mobileopt", "x",
     "cell_started_at"]
)  # fmt: skip
leaves = st.none() | st.integers() | st.text() | st.floats()
any_json = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner))
SHELL = {
    "version": 2,
    "commit_hash": "a",
    "params": {},
    "results": {},
    "result_columns": list(COLUMNS),
}


@few
@given(documents(("1", "2")))
def test_a_document_read_back_is_the_one_written(document):
    read = parse(json.loads(json.dumps(dump(document))))
    assert text(read) == text(document)
    assert cells_of(read) == cells_of(document)


def raw(**columns):
    row = {"result": [1.0, 2.0], "params": [["'a'", "'b'"]], "version": "1", "started_at": 5}
    return row | columns


@pytest.mark.parametrize(
    "columns",
    [
        {"result": [1.0]},
        {"result": 1.0},
        {"samples": [[1.0]]},
        {"params": [["'a'"]]},
        {"params": "ab"},
        {"params": [["'a'", 1]]},
        {"params": [["'a'"] * 2000, ["'b'"] * 2000], "result": None},
        {"started_at": "yesterday"},
    ],
)
def test_a_row_that_does_not_fit_its_parameters_is_refused(columns):
    with pytest.raises(MisfitError):
        parse_row(raw(**columns))


@few
@given(any_json, any_json)
def test_no_json_makes_parsing_fail_with_anything_but_a_store_error(one, other):
    extra = {"mobileopt": {"cell_started_at": other}}
    for changes in (
        {},
        {"mobileopt": one},
        {"results": {"x": one}},
        {"results": {"x": [one, other]}},
    ):
        document = SHELL | extra | changes if changes else one
        if isinstance(document, dict):
            with contextlib.suppress(StoreError):
                dump(parse(document))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 1}, "a result file of version 1, 2 is understood"),
        ({"version": None}, "version None"),
        ({"results": []}, "without its results and result_columns"),
        ({"result_columns": None}, "without its results and result_columns"),
        ({"commit_hash": 5}, "without its commit_hash and params"),
        ({"params": []}, "without its commit_hash and params"),
        ({"results": {"x" * 999: 5}}, f"whose row of '{'x' * 80}' is no list"),
    ],
)
def test_what_is_no_result_file_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(FormatError, match=sentence):
        check(SHELL | change)


@pytest.mark.parametrize(
    "own", [[1], [1, "2"], [1, -2], [1, math.nan], [1, 1e18], "12", {"0": 1}, None]
)
def test_times_of_cells_that_are_none_are_not_believed(own):
    row = [raw().get(name) for name in COLUMNS]
    extra = {"mobileopt": {"cell_started_at": {"x": own}}}
    read = parse(SHELL | {"results": {"x": row}} | extra)
    assert [cell.started_at for cell in read.rows["x"].cells.values()] == [5, 5]


def test_of_two_cells_the_measured_one_counts_then_the_newer_then_the_fuller_then_the_failed():
    worst_first = [
        Cell({"result": math.nan}, 1),
        Cell({}, 1),
        Cell({"result": math.inf}, 9),
        Cell({"result": 7.0}, 1),
        Cell({"result": 7.0}, 2),
        Cell({"result": 5.0, "samples": [5.0, 5.0]}, 2),
    ]
    assert (
        sorted((worst_first[n] for n in (3, 0, 5, 2, 4, 1)), key=lambda cell: cell.rank)
        == worst_first
    )


def test_one_value_has_one_text_whatever_the_order_of_its_keys():
    assert canonical({"a": math.nan, "b": [None]}) == canonical({"b": [None], "a": math.nan})
    assert canonical([1.0]) != canonical([None])
