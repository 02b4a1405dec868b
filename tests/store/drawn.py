"""Result files drawn at random: measured, failed and skipped cells of two parameters."""

import itertools
import math

from hypothesis import settings
from hypothesis import strategies as st

from mobileopt.store.documents import Cell, Document, Row, canonical, dump, is_good

HEADER = {
    "commit_hash": "a" * 40,
    "env_name": "py3.11",
    "date": 1,
    "params": {"machine": "pixel6"},
    "python": "3.11",
    "requirements": {},
    "env_vars": {},
    "durations": {},
}
NAMES = ("'a'", "'b'", "'c'")
numbers = st.floats(0.1, 9, allow_nan=False).map(lambda x: round(x, 2))
times = st.integers(1, 5)
# Enough to find each rule of the order broken on purpose, few enough to stay quick.
few = settings(max_examples=40, deadline=None)


@st.composite
def cells(draw):
    value = draw(st.one_of(numbers, st.none(), st.just(math.nan), st.just(math.inf)))
    columns = {} if value is None else {"result": value}
    if is_good(value):
        columns |= {"stats_ci_99_a": value, "samples": draw(st.lists(numbers, max_size=3))}
    return Cell(columns, draw(times))


@st.composite
def rows(draw, versions=("1",)):
    axes = tuple(
        tuple(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)))
        for _ in range(2)
    )
    asked = draw(st.sets(st.sampled_from(list(itertools.product(*axes)))))
    measured = {combination: draw(cells()) for combination in sorted(asked)}
    start = max([cell.started_at for cell in measured.values()], default=draw(times))
    duration = draw(st.one_of(st.none(), numbers))
    profile = draw(st.sampled_from([None, "eJ1", "eJ2"]))
    return Row(axes, draw(st.sampled_from(versions)), start, measured, duration, profile)


@st.composite
def documents(draw, versions=("1",)):
    header = HEADER | {"python": draw(st.sampled_from(["3.11", "3.12"]))}
    found = draw(st.dictionaries(st.sampled_from(["x.track", "y.track"]), rows(versions)))
    return Document(header, found)


def text(document):
    return canonical(dump(document))


def cells_of(document):
    return {
        (name, combination): (cell.started_at, canonical(cell.columns))
        for name, row in document.rows.items()
        for combination, cell in row.cells.items()
    }
