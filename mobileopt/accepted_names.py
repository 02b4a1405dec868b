"""The names an accepted entry can mean: of what can be measured here, and of what a store lists."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mobileopt import accepted, history, models, recipes
from mobileopt.accepted import Accepted
from mobileopt.gate.finding import METRICS
from mobileopt.run import Metric
from mobileopt.series import Origin
from mobileopt.store import Store
from mobileopt.store.documents import MAX_COMBINATIONS, MisfitError, parse_axes
from mobileopt.store.entry import natural
from mobileopt.variant import variant_of


def problems(
    entries: Sequence[Accepted],
    store: Store,
    metrics: Iterable[str] = (),
    subjects: Iterable[str] = (),
) -> list[str]:
    """A sentence for each entry that has expired, or whose names match nothing there is.

    One file settles what `mobileopt check` measures and what a `store` holds, so the names of
    both are known wherever it is read; `metrics` and `subjects` are further ones.
    """
    if not entries:
        return []
    listed = store.benchmarks()
    of_store = {each for name, about in listed.items() for each in _subjects(name, about)}
    return accepted.problems(
        entries,
        [*dict.fromkeys([*METRICS, *listed, *metrics])],
        [*dict.fromkeys([*_buildable(), *sorted(of_store), *subjects])],
    )


def _buildable() -> Iterator[str]:
    """The variants and the passes of every model there is."""
    words = [word.name for word in recipes.WORDS if word.file]
    every = [*map(str, recipes.all_recipes()), *words]
    return (f"{model}/{name}" for model in models.names() for name in every)


def _subjects(benchmark: str, about: Mapping[str, Any]) -> Iterator[str]:
    names = about.get("param_names")
    try:
        axes = parse_axes(about.get("params"))
        named = list(zip(names or [], axes, strict=True))
    except (MisfitError, TypeError, ValueError):
        return
    combinations = itertools.product(*(axis for _, axis in named))
    for combination in itertools.islice(combinations, MAX_COMBINATIONS):
        settings = {
            str(name): str(natural(value))
            for (name, _), value in zip(named, combination, strict=True)
        }
        variant, rest = variant_of(settings)
        others = tuple(sorted(rest.items()))
        yield history.subject(Origin(variant, "", Metric(benchmark, ""), "", settings=others))
