"""What asv's page of regressions and its feed show, from our change points.

asv's rules apply to them unchanged: its thresholds, `regressions_first_commits`, and that a level
reached again later is no regression. Only the steps come from our detector, and the commits of a
step from the list read once instead of from a git process for each.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from html import escape
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
from asv.feed import FeedEntry, write_atom
from asv.plugins.regressions import Regressions, _GraphDataFilter
from asv.util import human_value

from mobileopt.publishing.commits import Commits
from mobileopt.publishing.detection import SteppedGraph
from mobileopt.publishing.graphs import Graph
from mobileopt.publishing.publication import Publication

Regression = list[Any]
"""asv's: entry, graph's path, its params, combination, last and best value, jumps."""


class _Repository:
    """asv's repository, asked for the commits between two from the list read once."""

    def __init__(self, repo: Any, commits: Commits, branch: str) -> None:
        self._repo, self._commits, self._branch = repo, commits, branch

    def get_range_spec(self, older: str, newer: str) -> tuple[str, str]:
        return older, newer

    def get_hashes_from_range(self, spec: tuple[str, str]) -> list[str]:
        found = self._commits.between(self._branch, *spec)
        if found is None:
            return self._repo.get_hashes_from_range(self._repo.get_range_spec(*spec))
        return found


def regressions(publication: Publication, graphs: Iterable[SteppedGraph]) -> list[Regression]:
    """asv's regressions; raises asv's UserError for a threshold that is no number."""
    if not publication.revisions:
        return []
    chosen = _GraphDataFilter(publication.conf, publication.repo, publication.revisions)
    params = _params(publication)
    found: list[Regression] = []
    for graph in graphs:
        repo = _Repository(publication.repo, publication.commits, str(graph.params["branch"]))
        benchmark = publication.benchmarks[graph.graph.benchmark_name]
        for data in chosen.get_graph_data(graph, benchmark):
            Regressions._process_regression(found, publication.hashes, repo, params, data, graph)
    return found


def write_feed(path: Path, publication: Publication, regressions: list[Regression]) -> None:
    """The regressions as an Atom feed, the newest first."""
    graphs = {graph.path + ".json": graph for graph in publication.graphs}
    entries = [
        entry for each in regressions for entry in _entries(publication, graphs[each[1]], each)
    ]
    entries.sort(key=lambda entry: entry.updated, reverse=True)
    project = publication.conf.project
    write_atom(
        str(path),
        entries,
        title=f"{project} performance regressions",
        author="Airspeed Velocity",
        address=f"{project}.asv",
    )


def _params(publication: Publication) -> dict[str, set[Any]]:
    params: dict[str, set[Any]] = {}
    for graph in publication.graphs:
        for name, value in graph.params.items():
            params.setdefault(name, set()).update([value] if value else [])
    return params


def _entries(publication: Publication, graph: Graph, regression: Regression) -> Iterator[FeedEntry]:
    name, _, params, index, last, best, jumps = regression
    benchmark = publication.benchmarks[graph.benchmark_name]
    address = dict(params) | _combination(benchmark, index)
    hashes = publication.hashes
    for first, second, before, after in jumps:
        newer, older = hashes[second], hashes.get(first, "")
        query = urllib.parse.urlencode(
            address | {"commits": f"{older}-{newer}" if older else newer}
        )
        link = f"index.html#{graph.benchmark_name}?{query}"
        when = datetime.fromtimestamp(publication.dates[newer] / 1000, UTC)
        unit = benchmark.get("unit", "")
        texts = [human_value(value, unit) for value in (after, before, last, best)]
        summary = (
            f'<a href="{escape(link)}">{_percent(before, after)} regression</a> on '
            f"{when:%Y-%m-%d %H:%M:%S} in {_commits(publication.conf, older, newer)}.<br>\n"
            f"New value: {texts[0]}, old value: {texts[1]}.<br>\n"
            f"Latest value: {texts[2]} ({_percent(best, last)} worse than best value {texts[3]})."
        )
        title = f"{_percent(before, after)} {name}"
        measured = _measured(graph, index or 0, (first, second)) or when
        yield FeedEntry(title, measured, link, summary, [name, older, newer], when)


def _combination(benchmark: Mapping[str, Any], index: int | None) -> dict[str, Any]:
    if index is None:
        return {}
    (values,) = islice(product(*benchmark["params"]), index, index + 1)
    return {
        f"p-{name}": value for name, value in zip(benchmark["param_names"], values, strict=True)
    }


def _measured(graph: Graph, index: int, revisions: tuple[int | None, int]) -> datetime | None:
    rows = np.searchsorted(graph.revisions, [each for each in revisions if each is not None])
    times = graph.columns["started_at"][rows, index]
    newest = np.nanmax(times) if np.isfinite(times).any() else 0
    return datetime.fromtimestamp(float(newest) / 1000, UTC) if newest else None


def _percent(before: float, after: float) -> str:
    if before == 0:
        return f"{after - before:.2g} units"
    return f"{100 * (after - before) / before:.2f}%"


def _commits(conf: Any, older: str, newer: str) -> str:
    base = conf.show_commit_url
    if not older:
        return f'commit <a href="{escape(base + newer)}">{newer[:8]}</a>'
    address = f"{base}../compare/{older}...{newer}" if "github.com" in base else base + newer
    return f'commits <a href="{escape(address)}">{older[:8]}...{newer[:8]}</a>'
