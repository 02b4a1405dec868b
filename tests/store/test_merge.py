from functools import reduce

import pytest
from hypothesis import given

from mobileopt.errors import StoreError
from mobileopt.store import merge
from mobileopt.store.documents import Cell, Document, Row

from .drawn import HEADER, cells_of, documents, few, text


def together(*parts):
    return reduce(lambda one, other: merge.merge(one, other).document, parts)


def good(document):
    return {
        (name, combination): cell
        for name, row in document.rows.items()
        for combination, cell in row.cells.items()
        if cell.is_good
    }


@few
@given(documents())
def test_a_document_merged_with_itself_is_itself(document):
    assert text(together(document, document)) == text(document)


@few
@given(documents(("1", "2")), documents(("1", "2")))
def test_merging_is_the_same_in_either_order(one, other):
    assert text(together(one, other)) == text(together(other, one))


@few
@given(documents(("1", "2")), documents(("1", "2")))
def test_merging_a_second_time_changes_nothing(one, other):
    once = together(one, other)
    assert text(together(once, other)) == text(once)
    assert text(together(once, one)) == text(once)


@few
@given(documents(), documents(), documents())
def test_the_cells_do_not_depend_on_who_merges_first(one, two, three):
    left = together(together(one, two), three)
    right = together(one, together(two, three))
    assert cells_of(left) == cells_of(right)


@few
@given(documents(), documents())
def test_no_finite_value_is_lost_and_the_newest_one_stays(one, other):
    merged = good(together(one, other))
    for key in good(one).keys() | good(other).keys():
        rivals = [found[key] for found in (good(one), good(other)) if key in found]
        assert merged[key].started_at == max(cell.started_at for cell in rivals)
        assert merged[key] in rivals


@few
@given(documents(("1", "2")), documents(("1", "2")))
def test_what_a_new_version_replaces_is_handed_back(one, other):
    merged = merge.merge(one, other)
    for name in one.rows.keys() & other.rows.keys():
        mine, theirs = one.rows[name], other.rows[name]
        if mine.version != theirs.version:
            kept = merged.document.rows[name]
            assert {kept.version, merged.replaced[name].version} == {"1", "2"}
            assert kept.started_at >= merged.replaced[name].started_at


@few
@given(documents(), documents())
def test_what_asv_merely_carries_along_does_not_beat_what_was_stored_meanwhile(base, meanwhile):
    # asv read `base`, measured nothing, and writes every row with a new time.
    carried = {
        name: Row(
            row.axes,
            row.version,
            9,
            {key: Cell(cell.columns, 9) for key, cell in row.cells.items()},
        )
        for name, row in base.rows.items()
    }
    restamped = merge.restamp(Document(base.header, carried), base)
    expected = cells_of(together(base, meanwhile))
    assert cells_of(together(restamped, together(base, meanwhile))) == expected


def test_two_values_of_the_same_moment_come_out_the_same_in_either_order():
    one, other = (
        Document(HEADER, {"x": Row((), "1", 5, {(): Cell({"result": value}, 5)})})
        for value in (1.0, 2.0)
    )
    assert text(together(one, other)) == text(together(other, one))


def test_rows_of_one_moment_with_other_parameters_settle_after_one_merge():
    one = Document(HEADER, {"x": Row((("'a'",), ("'a'",)), "1", 1, {})})
    other = Document(HEADER, {"x": Row((("'a'", "'b'"), ("'b'",)), "1", 1, {})})
    once = together(one, other)
    assert text(once) == text(together(other, one))
    assert text(together(once, one)) == text(together(once, other)) == text(once)


def test_samples_dropped_without_a_new_measurement_stay_dropped():
    before = Cell({"result": 1.0, "samples": [1.0]}, 5)
    base = Document(HEADER, {"x": Row((), "1", 5, {(): before})})
    mine = Document(HEADER, {"x": Row((), "1", 5, {(): Cell({"result": 1.0}, 5)})})
    merged = together(base, merge.restamp(mine, base))
    assert "samples" not in merged.rows["x"].cells[()].columns


def test_a_removed_benchmark_stays_removed_unless_it_was_measured_since():
    document = Document(HEADER, {"x": Row((), "1", 5, {}), "y": Row((), "1", 7, {})})
    assert merge.without(document, {"x": 5, "y": 5}).rows.keys() == {"y"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commit_hash": "a" * 8 + "b" * 32}, "share their first 8 digits"),
        ({"env_name": "py3.12"}, "environment"),
        ({"params": {"machine": "pixel7"}}, "machine"),
    ],
)
def test_documents_of_different_files_are_not_merged(change, message):
    with pytest.raises(StoreError, match=message):
        merge.merge(Document(HEADER, {}), Document(HEADER | change, {}))


def test_a_row_that_does_not_fit_gives_way_to_one_that_does_and_is_handed_back():
    misfit = ["misfit", [["'a'"]]]
    row = Row((("'a'", "'b'"),), "1", 5, {})
    merged = merge.merge(Document(HEADER, {"x": misfit}), Document(HEADER, {"x": row}))
    assert merged.document.rows == {"x": row}
    assert merged.replaced == {"x": misfit}
