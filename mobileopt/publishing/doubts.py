"""Results to be read with care: what the side-cars say of the runs behind them.

A side-car has a line a run, and a site draws only the few runs that were not valid; those are
kept by the file's identity, so that a publish reads what is new.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobileopt.store import files
from mobileopt.store.layout import SIDECAR

_SCHEMA = 1


@dataclass(frozen=True)
class Doubt:
    """A run that was `suspect` or `invalid`, and why.

    `combination` is as asv writes it, `started_at` in milliseconds. `value` is the median of
    what an invalid run measured, in the benchmark's unit, which is no result; None for a
    suspect one, whose value stands in the result file.
    """

    benchmark: str
    version: str
    combination: tuple[str, ...]
    started_at: int
    verdict: str
    reasons: tuple[str, ...]
    value: float | None = None


def read(root: Path, results: Iterable[str], where: Path) -> dict[str, list[Doubt]]:
    """The doubts about some result files, by their path below the store.

    `where` keeps what was read. A torn line is skipped with a StoreWarning.
    """
    known = _load(where)
    current: dict[str, Any] = {}
    for result in results:
        path = (root / result).with_suffix(SIDECAR)
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        identity = [status.st_size, status.st_mtime_ns, status.st_ino]
        kept = known.get(result)
        if kept and kept[0] == identity:
            current[result] = kept
        else:
            current[result] = [identity, [_fields(each) for each in files.read_lines(path)]]
            current[result][1] = [each for each in current[result][1] if each]
    if current != known:
        _save(where, current)
    return {
        result: [_doubt(each) for each in rows] for result, (_, rows) in current.items() if rows
    }


def _fields(record: Mapping[str, Any]) -> list[Any] | None:
    """What is kept of a record; None for a valid run, and for what says nothing usable."""
    context = record.get("context")
    said = context.get("validity") if isinstance(context, dict) else None
    if isinstance(said, str):
        said = {"verdict": said, "reasons": context.get("reasons")}  # type: ignore[union-attr]
    combination, started = record.get("combination"), record.get("started_at")
    if (
        not isinstance(said, dict)
        or said.get("verdict") not in ("suspect", "invalid")
        or not isinstance(combination, list)
        or not isinstance(started, int)
    ):
        return None
    reasons = said.get("reasons")
    told = [str(each) for each in reasons] if isinstance(reasons, list) else []
    names = [str(record.get("benchmark")), str(record.get("version"))]
    value = _median(context) if said["verdict"] == "invalid" else None
    return [*names, [str(each) for each in combination], started, said["verdict"], told, value]


def _median(context: Any) -> float | None:
    samples = context.get("samples")
    if not isinstance(samples, list):
        return None
    numbers = [each for each in samples if isinstance(each, int | float)]
    return float(statistics.median(numbers)) if numbers else None


def _doubt(fields: list[Any]) -> Doubt:
    benchmark, version, combination, started, verdict, reasons, value = fields
    return Doubt(benchmark, version, tuple(combination), started, verdict, tuple(reasons), value)


def _load(where: Path) -> dict[str, Any]:
    try:
        stored = json.loads(where.read_text(encoding="utf-8"))
        return stored["files"] if stored["schema"] == _SCHEMA else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _save(where: Path, current: Mapping[str, Any]) -> None:
    text = json.dumps({"schema": _SCHEMA, "files": current})
    files.keep(where, lambda file: file.write(text.encode()))
