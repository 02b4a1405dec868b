"""The series a store holds, from its frame."""

# pyright: standard
# pandas ships no stubs, so every value it hands out is unknown to the strict mode.

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mobileopt.run import Metric
from mobileopt.series import Origin, Point, Series
from mobileopt.store.frame import FIXED
from mobileopt.variant import variant_of

if TYPE_CHECKING:
    import pandas as pd

_OF_POINT = frozenset(
    ("commit", "date", "value", "status", "n", "ci_low", "ci_high", "started_at", "samples")
)


def histories(frame: pd.DataFrame, order: Sequence[str] = ()) -> list[Series]:
    """Every series of a store's frame: what is not comparable lands in different ones.

    The variant is read from a column `variant`, or `model` with `recipe`, or `model` with the
    recipe's four words; a benchmark without them has none. Only measured values are taken.
    `order` lists the commits, oldest first, and leaves out the rest; without it their dates
    decide. Series come in the order of the frame.
    """
    groups: dict[Origin, list[Point]] = {}
    origins: dict[tuple[Any, ...], Origin] = {}
    names = [str(name) for name in frame.columns]
    identity = [index for index, name in enumerate(names) if name not in _OF_POINT]
    for values in _measured(frame, names):
        key = tuple(values[index] for index in identity)
        row = dict(zip(names, values, strict=True))
        origin = origins.get(key)
        if origin is None:
            origin = origins[key] = _origin(row)
        groups.setdefault(origin, []).append(_point(row))
    found = [
        Series.of([(origin, point) for point in points], order) for origin, points in groups.items()
    ]
    return [series for series in found if series.points]


def _measured(frame: pd.DataFrame, names: list[str]) -> Iterator[tuple[Any, ...]]:
    rows: Any = frame[frame["status"] == "measured"]
    return zip(*(rows[name].astype(object) for name in names), strict=True)


def _origin(row: Mapping[str, Any]) -> Origin:
    settings = {
        name: str(value)
        for name, value in row.items()
        if name not in FIXED and value is not None and value == value  # noqa: PLR0124 - not NaN
    }
    variant, rest = variant_of(settings)
    return Origin(
        variant,
        row["machine"],
        Metric(row["benchmark"], row["unit"]),
        row["version"],
        row["environment"],
        tuple(sorted(rest.items())),
    )


def _point(row: Mapping[str, Any]) -> Point:
    samples: Any = row.get("samples")
    return Point(
        row["commit"],
        row["date"].to_pydatetime(),
        float(row["value"]),
        (float(row["ci_low"]), float(row["ci_high"])),
        int(row["n"]),
        () if samples is None else tuple(map(float, samples)),
    )
