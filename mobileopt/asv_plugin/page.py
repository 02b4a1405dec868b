"""A page of the site: a name, a label in the navigation, and the data it draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mobileopt.publishing.outputs import Outputs
from mobileopt.publishing.publication import Publication


@dataclass(frozen=True)
class Page:
    """A page reached as `#/<name>`, drawn by `assets/<name>.js` from `<name>.json`.

    `data` is called once per publishing and returns what goes into that file: plain values
    that are valid JSON, so no NaN. `files`, where a page has more of them than one, puts them
    into the site itself. `label` is the entry in the navigation; None leaves the page out of it.
    """

    name: str
    label: str | None
    data: Callable[[Publication], object]
    files: Callable[[Outputs, Publication], None] | None = None
