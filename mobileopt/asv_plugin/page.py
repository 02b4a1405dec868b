"""A page of the site: a name, a label in the navigation, and the data it draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Published:
    """What asv hands to a publisher: its configuration, repository, benchmarks and graphs.

    `revisions` numbers the published commits, by full hash, in the order of the history.
    """

    conf: Any
    repo: Any
    benchmarks: Mapping[str, Any]
    graphs: Any
    revisions: Mapping[str, int]


@dataclass(frozen=True)
class Page:
    """A page reached as `#/<name>`, drawn by `assets/<name>.js` from `<name>.json`.

    `data` is called once per publishing and returns what goes into that file: plain values
    that are valid JSON, so no NaN.
    """

    name: str
    label: str
    data: Callable[[Published], object]
