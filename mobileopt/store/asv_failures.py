"""Why benchmarks of an asv run failed: what asv prints once and does not save."""

# pyright: standard
# asv ships no types, so every value it hands out is unknown to the strict mode.

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mobileopt.store.documents import Combination, Document, Json, Row

_SECTION = re.compile(r"^For parameters: (.*)$", re.MULTILINE)
_KEPT = 4000  # characters of what a benchmark wrote: the end of a traceback says why
_SENTENCE = 300


def records(results: Any, document: Document, before: Document | None) -> Iterator[Json]:
    """A record for the side-car of each combination that failed in this run.

    `document` is what asv saves of its `results`, `before` the file it had read. A benchmark
    that failed there as well and of which asv says nothing was not run again.
    """
    for name, code in results.errcode.items():
        row = document.rows.get(name)
        if not code or not isinstance(row, Row):
            continue
        old = before.rows.get(name) if before else None
        carried = _failed(old) if isinstance(old, Row) and row.is_comparable(old) else set()
        said = _by_combination(results.stderr.get(name) or "", row)
        for combination in sorted(_failed(row)):
            if combination in said or combination not in carried:
                yield _record(name, row, combination, code, said.get(combination, ""))


def _failed(row: Row) -> set[Combination]:
    return {each for each, cell in row.cells.items() if cell.columns.get("result") is None}


def _by_combination(text: str, row: Row) -> Mapping[Combination, str]:
    """What was written while each combination ran; the whole of it where it is of none."""
    every = list(itertools.product(*row.axes))
    # Without parameters asv writes no heading: what looks like one is the benchmark's own.
    before, *sections = _SECTION.split(text) if row.axes else [text]
    if not sections:
        return dict.fromkeys(every, before) if before.strip() else {}
    by_name = dict(zip(sections[::2], sections[1::2], strict=True))
    return {each: by_name[", ".join(each)] for each in every if ", ".join(each) in by_name}


def _record(name: str, row: Row, combination: Combination, code: int, text: str) -> Json:
    lines = text.strip().splitlines()
    reason = lines[-1].strip()[:_SENTENCE] if lines else f"exit status {code} and not a word"
    return {
        "kind": "run",
        "run": f"asv {row.started_at}",
        "benchmark": name,
        "version": row.version,
        "combination": list(combination),
        "started_at": row.started_at,
        "reason": reason,
        "context": {"exit_status": code, "output": text.strip()[-_KEPT:]},
    }
