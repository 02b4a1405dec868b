"""`asv publish`, over again: the files asv's pages read, from the store's table.

What asv computes per graph, per jump and per tag comes here from one table, one detector and a
few git processes; a file whose inputs are those of the last publish is linked, not made.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import asv
from asv.benchmarks import Benchmarks
from asv.commands.publish import check_benchmark_params
from asv.graph import Graph as AsvGraph
from asv.plugins.summarylist import SummaryList
from asv.publishing import OutputPublisher
from asv.repo import get_repo
from asv.util import datetime_to_js_timestamp, iter_subclasses

from mobileopt import analyses
from mobileopt.errors import StoreError
from mobileopt.publishing import publication
from mobileopt.publishing.detection import SteppedGraph
from mobileopt.publishing.outputs import Outputs
from mobileopt.publishing.publication import Publication
from mobileopt.publishing.regressions import regressions, write_feed
from mobileopt.publishing.summaries import summary

Report = Callable[[str], None]
AddPages = Callable[[Outputs, Publication], None]


def publish(
    conf: Any, previous: Path | None, add_pages: AddPages, *, pull: bool, report: Report
) -> list[str]:
    """Fill `conf.html_dir`, an empty folder; returns what had to be left out, a sentence each.

    `previous` is the site published last; `add_pages` writes our own pages. Raises asv's
    UserError for what asv cannot use, StoreError for a store or a repository that cannot be read.
    """
    html = Path(conf.html_dir)
    report("Reading the repository and the results")
    repo = cast(Any, get_repo(conf))
    if pull:
        repo.pull()
    with analyses.processes() as pool:
        contents = publication.load(conf, repo, _benchmarks(conf))
        report("Looking for changes")
        progress = "Looking for changes, {} of {} new series".format
        contents.detect(lambda done, of: report(progress(done, of)), pool)
    outputs = Outputs(html, previous)
    report("Writing graphs")
    shutil.copytree(Path(asv.__file__).with_name("www"), html, dirs_exist_ok=True)
    _write_graphs(outputs, contents)
    _write_lists(contents, html)
    report("Writing pages")
    _write_index(contents, html)
    add_pages(outputs, contents)
    outputs.finish()
    return contents.messages


def _benchmarks(conf: Any) -> Benchmarks:
    benchmarks = Benchmarks.load(conf)
    for name, benchmark in benchmarks.items():
        try:
            check_benchmark_params(name, benchmark)
        except ValueError as error:
            raise StoreError(str(error)) from error
    return benchmarks


def _write_graphs(outputs: Outputs, contents: Publication) -> None:
    for graph in contents.graphs:
        inputs = (graph.revisions.tobytes(), graph.values.tobytes(), graph.is_scalar)
        outputs.put(f"{graph.path}.json", inputs, lambda: [row[:2] for row in graph.get_data()])  # noqa: B023
    for name in contents.benchmarks:
        group = contents.group(name)
        if group:
            arrays = [array.tobytes() for g in group for array in (g.revisions, g.values)]
            path = AsvGraph.get_file_path({"summary": ""}, name)
            outputs.put(f"{path}.json", tuple(arrays), lambda: summary(group))  # noqa: B023


def _write_lists(contents: Publication, html: Path) -> None:
    stepped = [SteppedGraph(graph, contents.detected) for graph in contents.graphs]
    SummaryList.publish(
        contents.conf, contents.repo, contents.benchmarks, _Groups(stepped), contents.revisions
    )
    found = regressions(contents, stepped)
    _write(html / "regressions.json", {"regressions": found})
    write_feed(html / "regressions.xml", contents, found)


class _Groups:
    """Graphs as asv's list asks for them."""

    def __init__(self, graphs: list[SteppedGraph]) -> None:
        self._groups: dict[str, list[SteppedGraph]] = {}
        for each in graphs:
            self._groups.setdefault(each.graph.benchmark_name, []).append(each)

    def get_graph_group(self, name: str) -> list[SteppedGraph]:
        return self._groups.get(name, [])


def _write_index(contents: Publication, html: Path) -> None:
    conf = contents.conf
    params = [graph.params for graph in contents.graphs]
    publishers = sorted(iter_subclasses(OutputPublisher), key=lambda each: each.order)
    index = {
        "project": conf.project,
        "project_url": conf.project_url,
        "show_commit_url": conf.show_commit_url,
        "hash_length": conf.hash_length,
        "revision_to_hash": contents.hashes,
        "revision_to_date": {number: contents.dates[c] for c, number in contents.revisions.items()},
        "params": {**contents.settings, "branch": list(contents.commits.branches)},
        "graph_param_list": [
            each for place, each in enumerate(params) if each not in params[:place]
        ],
        "benchmarks": dict(contents.benchmarks),
        "machines": contents.machines,
        "tags": {
            name: contents.revisions[commit] for name, commit in contents.commits.tags.items()
        },
        "pages": [[each.name, each.button_label, each.description] for each in publishers],
    }
    _write(html / "index.json", index)
    now = datetime_to_js_timestamp(datetime.now(UTC))
    _write(html / "info.json", {"asv-version": version("asv"), "timestamp": now})


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
