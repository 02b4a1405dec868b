"""Result files through asv's own code: its statistics, its serialization, its file names."""

# pyright: standard
# asv ships no types, so every value it hands out is unknown to the strict mode.

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobileopt.store import documents
from mobileopt.store.documents import Cell, Document, Json, Row
from mobileopt.store.entry import Entry, milliseconds


def to_document(entry: Entry, machine: Mapping[str, str]) -> Document:
    """The entry as a result file of its own, its statistics computed by asv.

    `machine` are the fields stored for the machine: with what the entry says today, an updated
    field would split the history into two graphs.
    """
    from asv.results import Results
    from asv.runner import BenchmarkResult

    environment = entry.environment
    params = dict(machine) | {"python": environment.python} | dict(environment.requirements)
    results = Results(
        params,
        dict(environment.requirements),
        entry.commit,
        milliseconds(entry.date),
        environment.python,
        environment.name,
        {},
    )
    measured = bool(entry.samples)
    outcome = BenchmarkResult(
        result=[0.0 if measured else None],
        samples=[list(entry.samples) if measured else None],
        number=[entry.number if measured else None],
        errcode=0 if measured else 1,
        stderr=entry.reason or "",
        profile=None,
    )
    # One combination alone is to asv a benchmark without parameters.
    alone = entry.benchmark.to_asv() | {"params": []}
    results.add_result(alone, outcome, entry.started_at, entry.duration, record_samples=True)
    document = documents.parse(serialize(results))
    row = document.rows[entry.benchmark.name]
    assert isinstance(row, Row)
    return Document(document.header, {entry.benchmark.name: _placed(row, entry)})


def serialize(results: Any) -> Json:
    """What asv would write for a `Results`, as asv itself writes it."""
    from asv.results import Results

    save: Any = getattr(Results.save, "__wrapped__", Results.save)
    with tempfile.TemporaryDirectory(prefix="mobileopt-") as folder:
        save(results, folder)
        (path,) = Path(folder).glob("*/*.json")
        return json.loads(path.read_text(encoding="utf-8"))


def file_name(commit: str, environment: str) -> str:
    """The result file's name in its machine's folder, as asv forms it."""
    from asv.results import get_filename

    return Path(get_filename("machine", commit, environment)).name


def _placed(row: Row, entry: Entry) -> Row:
    (cell,) = row.cells.values()
    started_at = milliseconds(entry.started_at)
    return Row(
        entry.benchmark.axes,
        entry.benchmark.version,
        started_at,
        {entry.key: Cell(cell.columns, started_at)},
        row.duration,
    )
