"""Verdicts for machines: one JSON document, raw samples included, in SI units."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from mobileopt.compare import Comparison
from mobileopt.report.units import sqnr
from mobileopt.verdicts import Row, Step, Verdicts


def dump(verdicts: Verdicts) -> str:
    """A strict JSON document: what is infinite or unknown is null."""
    return json.dumps(_finite(_document(verdicts)), allow_nan=False)


def _document(verdicts: Verdicts) -> dict[str, Any]:
    record = verdicts.record
    return {
        "model": verdicts.model,
        "batch": verdicts.batch,
        "variants": [_variant(row) for row in verdicts.rows],
        "steps": [_step(step) for step in verdicts.steps],
        "refused": dict(verdicts.refused),
        "advice": verdicts.advice,
        "interrupted": record.interrupted,
        "launches": record.launches,
        "wall_seconds": record.wall,
        "cpu_seconds": record.cpu,
    }


def _variant(row: Row) -> dict[str, Any]:
    made = row.artifact
    return {
        "variant": str(made.variant),
        "recipe": str(row.recipe),
        "memory": str(row.memory),
        "name": row.name,
        "latency_seconds": row.latency,
        "latency_low": row.low,
        "latency_high": row.high,
        "against_baseline": row.against_baseline and _comparison(row.against_baseline),
        "settled": row.settled,
        "page_faults": row.page_faults,
        "allocations": row.allocations and asdict(row.allocations),
        "size_bytes": made.size,
        "sha256": made.sha256,
        "engine": made.engine,
        "weights": made.weights,
        "calibration": made.calibration,
        "sqnr_db": sqnr(made.fidelity.noise),
        "fidelity": asdict(made.fidelity),
        "versions": dict(made.versions),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "slot": step.slot,
        "before": step.names[0],
        "after": step.names[1],
        "comparison": _comparison(step.comparison),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return asdict(comparison) | {"sentence": str(comparison)}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
