"""What the store has of a commit and a device already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from mobileopt.collection.storing import Filing
from mobileopt.store import Store
from mobileopt.validity import SUSPECT
from mobileopt.variant import Recipe, Variant


def present(store: Store, filing: Filing) -> frozenset[Variant]:
    """The variants that have a value of this benchmark, commit and device."""
    return frozenset(variant for variant, _ in _values(store, filing))


def believed(store: Store, filing: Filing) -> frozenset[Variant]:
    """Those of `present` whose value is not suspect, as far as the side-car tells."""
    suspect = {
        _name(each.get("combination"), each.get("started_at"))
        for each in store.runs()
        if each["machine"] == filing.device.name
        and each.get("kind") == "run"
        and _verdict(each) == SUSPECT
    }
    return frozenset(
        variant
        for variant, started in _values(store, filing)
        if _name([repr(variant.model), repr(str(variant.recipe))], started) not in suspect
    )


def _values(store: Store, filing: Filing) -> Iterator[tuple[Variant, int]]:
    """Variants with a value, and when its run started, in milliseconds."""
    if not (store.path / filing.device.name).is_dir():
        return
    frame: Any = store.frame()  # pandas ships no stubs
    if not {"model", "recipe"} <= set(frame.columns):
        return
    rows = frame[
        (frame["machine"] == filing.device.name)
        & (frame["commit"] == filing.commit.hash)
        & (frame["environment"] == filing.environment.name)
        & (frame["benchmark"] == filing.benchmark.name)
        & (frame["version"] == filing.benchmark.version)
        & (frame["status"] == "measured")
    ]
    for model, recipe, started in zip(
        rows["model"], rows["recipe"], rows["started_at"], strict=True
    ):
        variant = Variant(str(model), Recipe.parse(str(recipe)))
        yield variant, round(started.timestamp() * 1000)


def _name(combination: object, started: object) -> str:
    """What tells a run's value from others; a record may hold anything, so it is a text."""
    return str((combination, started))


def _verdict(record: Mapping[str, Any]) -> str:
    context = record.get("context")
    told = cast(Any, context).get("validity") if isinstance(context, dict) else None
    return str(cast(Any, told).get("verdict")) if isinstance(told, dict) else ""
