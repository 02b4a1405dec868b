"""The phones that tests run on: what would make them lie."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback.root import Root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return Root(tmp_path_factory.mktemp("phone") / "root", "SERIAL")


@given(cuts=st.sets(st.integers(1, 300)))
def test_output_names_the_phones_own_paths_wherever_its_pieces_end(root, cuts):
    folder = str(root.folder).encode()
    output = b"%b/proc/uptime:1\n//tmp/%b:2\n%b%b\n/" % (folder, folder[:-1], folder, folder)
    edges = [0, *sorted(cut for cut in cuts if cut < len(output)), len(output)]
    told = held = b""
    for start, end in itertools.pairwise(edges):
        turned, held = root.outside(held + output[start:end])
        told += turned
    assert told + held == output.replace(folder, b"")
