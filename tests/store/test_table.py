"""Result files as columns: whatever is gathered, kept or joined, no file loses its own."""

import json

import numpy as np
import pytest

from mobileopt.store import StoreWarning, table
from mobileopt.store.layout import result_files

from .entries import entry


@pytest.fixture
def root(store):
    """Three commits: one with two values, one failed, one with other parameters' samples."""
    store.add(
        entry(0, (1.0, 2.0, 3.0), commit="a" * 40),
        entry(1, (9.0,), commit="a" * 40, combination=("mobilenet_v2", "nchw")),
        entry(2, (), commit="b" * 40),
        entry(3, (5.0, 6.0), commit="c" * 40),
    )
    return store.path


def read(root, names="abc"):
    builder = table.Builder()
    for path in result_files(root / "pixel6"):
        if path.name[0] in names:
            builder.add(root, path)
    return builder.table()


def files_of(found):
    """What each file of a table holds, by its commit."""
    ends = np.cumsum(found.cells["kept"])
    cells = list(zip(found.cells["value"].tolist(), found.cells["status"].tolist(),
                     [found.samples[end - n : end].tolist()
                      for end, n in zip(ends, found.cells["kept"], strict=True)],
                     strict=True))  # fmt: skip
    commits = [found.told("commit", file)[0] for file in range(len(found.identities))]
    owners = found.rows["file"][found.row_of_cell]
    assert len(owners) == len(cells)
    return {
        commit: repr([cell for cell, owner in zip(cells, owners, strict=True) if owner == file])
        for file, commit in enumerate(commits)
    }


def test_a_file_has_its_cells_in_the_order_of_its_parameters(root):
    found = files_of(read(root))
    nothing = f"(nan, {table.SKIPPED}, [])"
    assert found == {
        "a": f"[(9.0, {table.MEASURED}, [9.0]), {nothing}, {nothing}, "
        f"(2.0, {table.MEASURED}, [1.0, 2.0, 3.0])]",
        "b": f"[{nothing}, {nothing}, {nothing}, (nan, {table.FAILED}, [])]",
        "c": f"[{nothing}, {nothing}, {nothing}, (5.5, {table.MEASURED}, [5.0, 6.0])]",
    }


@pytest.mark.parametrize("keep", ["", "a", "b", "c", "ac", "bc", "abc"])
def test_files_that_are_kept_keep_all_of_their_own(root, keep):
    whole, found = files_of(read(root)), read(root)
    kept = table.kept(found, np.array([name in keep for name in "abc"]))
    assert files_of(kept) == {name: whole[name] for name in keep}
    assert [identity[0][7] for identity in kept.identities] == list(keep)


@pytest.mark.parametrize(("one", "other"), [("", "abc"), ("abc", ""), ("a", "bc"), ("cb", "a")])
def test_two_tables_joined_are_the_table_of_all_their_files(root, one, other):
    joined = table.joined(read(root, one), read(root, other))
    assert files_of(joined) == files_of(read(root))
    assert {name: column.dtype for name, column in joined.cells.items()} == table.CELL_DTYPES
    assert len(set(joined.texts)) == len(joined.texts)
    names = {joined.texts[code] for code in joined.rows["benchmark"]}
    assert names == {"device.Latency.track_median"}


def test_a_file_that_was_replaced_is_another_even_with_the_same_content(root):
    path = result_files(root / "pixel6")[0]
    before = table.identify(root, path)
    assert table.identify(root, path) == before
    text = path.read_text()
    path.rename(path.with_suffix(".old"))
    path.write_text(text)
    assert before[:2] == table.identify(root, path)[:2] == ("pixel6/" + path.name, len(text))
    assert table.identify(root, path) != before


def test_among_rows_converted_at_once_the_one_of_nonsense_is_named_and_no_other_lost(root):
    path = result_files(root / "pixel6")[1]
    document = json.loads(path.read_text())
    [row] = document["results"].values()
    document["results"]["size.track"] = [["much"], [], *row[2:4]]
    path.write_text(json.dumps(document))
    builder = table.Builder()
    for each in result_files(root / "pixel6"):
        builder.add(root, each)
    with pytest.warns(StoreWarning, match=r"size\.track of .*bbbbbbbb.* was skipped"):
        found = builder.table()
    assert len(found.rows["size"]) == 3
    assert files_of(found).keys() == set("abc")


def test_a_file_gone_since_it_was_listed_and_one_without_results_are_no_rows(root):
    builder = table.Builder()
    builder.add(root, root / "pixel6" / "dddddddd-gone.json")
    with pytest.warns(StoreWarning, match=r"machine\.json was skipped"):
        builder.add(root, root / "pixel6" / "machine.json")
    found = builder.table()
    assert (found.identities, len(found.samples), len(found.row_of_cell)) == ([], 0, 0)
