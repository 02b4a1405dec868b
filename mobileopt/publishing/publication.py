"""All that is published from a store, and what had to be left out of it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache as cache_of_function
from functools import cached_property
from multiprocessing.pool import Pool
from pathlib import Path
from types import MappingProxyType
from typing import Any

from asv.plugins.git import Git

from mobileopt import accepted, analyses
from mobileopt.errors import InputError, StoreError
from mobileopt.publishing import commits, doubts, graphs
from mobileopt.publishing.commits import Commits
from mobileopt.publishing.detection import Branch, Detected, detect
from mobileopt.publishing.doubts import Doubt
from mobileopt.publishing.graphs import Graph, Place
from mobileopt.store import cache, files
from mobileopt.store.layout import MACHINE
from mobileopt.store.table import Table


@dataclass(frozen=True, eq=False)
class Publication:
    """The graphs of a store, and what asv and the pages need to know with them.

    `conf`, `repo` and `benchmarks` are asv's. `settings` has the values of each environment
    setting in asv's order, None where a result lacks it; `revisions` are those of the commits
    with results or a tag, oldest first, `dates` (milliseconds) theirs. `sources` are the result
    files' paths below the store.
    """

    conf: Any
    repo: Any
    benchmarks: Mapping[str, Any]
    commits: Commits
    graphs: list[Graph]
    settings: Mapping[str, list[Any]]
    machines: Mapping[str, Mapping[str, Any]]
    revisions: Mapping[str, int]
    dates: Mapping[str, int]
    sources: list[str]
    messages: list[str]

    def group(self, benchmark: str) -> list[Graph]:
        """A benchmark's graphs, those of the first branch first."""
        return [graph for graph in self.graphs if graph.benchmark_name == benchmark]

    @property
    def branch(self) -> str:
        """The first of the branches, which is the one the pages show."""
        return next(iter(self.commits.branches))

    @property
    def root(self) -> Path:
        """The folder of the results."""
        return Path(self.conf.results_dir)

    @cached_property
    def hashes(self) -> dict[int, str]:
        """The commit of each revision."""
        return {revision: commit for commit, revision in self.revisions.items()}

    @cached_property
    def detected(self) -> Detected:
        """The changes of all series."""
        return self.detect()

    def detect(
        self, report: Callable[[int, int], None] | None = None, pool: Pool | None = None
    ) -> Detected:
        """Find the changes now, with a report of the progress, by `analyses.processes`."""
        repository = Path(self.repo._path)
        self.__dict__["detected"] = detect(
            analyses.location(self.root),
            [self._branch(name) for name in self.commits.branches],
            self.benchmarks,
            accepted.committed(repository, self.branch),
            repository,
            report,
            pool,
        )
        return self.detected

    @cached_property
    def doubts(self) -> dict[str, list[Doubt]]:
        """The runs that were not valid, by the path of their result file."""
        where = cache.location(self.root)
        return doubts.read(self.root, self.sources, where.with_name(f"doubts-{where.stem}.json"))

    def _branch(self, name: str) -> Branch:
        graphs = [graph for graph in self.graphs if graph.params["branch"] == name]
        every = tuple(reversed(self.commits.branches[name]))
        return Branch(graphs, every, self.hashes, self.dates)


def load(
    conf: Any, repo: Any, benchmarks: Mapping[str, Any], only: Collection[str] | None = None
) -> Publication:
    """Everything to publish from the store `conf` names; `only` are the commits to publish.

    What is damaged is left out with a message. Raises StoreError if there is no such folder or
    git cannot read the repository, InputError for a repository that is not git's.
    """
    root = Path(conf.results_dir)
    if not root.is_dir():
        raise StoreError(f"{root} is not a folder of results")
    if not isinstance(repo, Git):
        raise InputError(f"the site needs a git repository; {conf.repo} is none")
    names = [str(repo.get_branch_name(branch)) for branch in conf.branches]
    history = commits.read(Path(repo._path), names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", files.StoreWarning)
        machines = _machines(root)
        table = cache.load(root, cache.paths(root))
        usable = _usable(table, machines, only)
    messages = [str(each.message) for each in caught]
    settings = {index: _settings(table.told("settings", index)) for index in usable}
    values = _values(settings.values())
    places = _places(table, settings, history, messages)
    found = list(graphs.build(table, benchmarks, _completed(places, values)))
    dates = {table.told("commit", index): int(table.files["date"][index]) for index in usable}
    dates |= {commit: history.dates[commit] for commit in history.tags.values()}
    known = sorted(dates.keys() & history.numbers.keys(), key=history.numbers.__getitem__)
    return Publication(
        conf,
        repo,
        benchmarks,
        history,
        found,
        {name: _in_order(each) for name, each in values.items()},
        {str(machine["machine"]): machine for machine in machines.values()},
        {commit: history.numbers[commit] for commit in known},
        {commit: dates[commit] for commit in known},
        [path for path, *_ in table.identities],
        messages,
    )


def _machines(root: Path) -> dict[str, dict[str, Any]]:
    """Each folder's machine.json; a damaged one costs its folder and no more."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(root.glob(f"*/{MACHINE}")):
        try:
            machine = files.read_json(path)
            if not isinstance(machine.get("machine"), str):
                raise StoreError(f"{path} names no machine")
            found[path.parent.name] = machine
        except StoreError as error:
            files.warn(f"{path.parent} was skipped: {error}")
    return found


def _usable(
    table: Table, machines: Mapping[str, Mapping[str, Any]], only: Collection[str] | None
) -> list[int]:
    """The files that are of their folder's machine and that can be told apart by their settings."""
    usable: list[int] = []
    for index, (path, *_) in enumerate(table.identities):
        machine = machines.get(path.partition("/")[0])
        if machine is None or (only is not None and table.told("commit", index) not in only):
            continue
        settings = _settings(table.told("settings", index))
        odd = [name for name, value in settings.items() if isinstance(value, list | dict)]
        if settings["machine"] != machine["machine"]:
            files.warn(f"{path} was skipped: it is not of machine {machine['machine']!r}")
        elif odd:
            files.warn(f"{path} was skipped: its {odd[0]} is neither a text nor a number")
        else:
            usable.append(index)
    return usable


@cache_of_function
def _settings(text: str) -> Mapping[str, Any]:
    """What asv tells graphs apart by: null is '', environment variables have a prefix."""
    params, variables = json.loads(text)
    settings = {name: "" if value is None else value for name, value in params.items()}
    settings |= {f"env-{name}": value for name, value in variables.items()}
    return MappingProxyType({"machine": None} | settings)


def _values(settings: Iterable[Mapping[str, Any]]) -> dict[str, set[Any]]:
    values: dict[str, set[Any]] = {}
    for each in settings:
        for name, value in each.items():
            values.setdefault(name, set()).add(value)
    return values


def _in_order(values: set[Any]) -> list[Any]:
    return sorted(values, key=lambda value: "[none]" if value is None else str(value))


def _places(
    table: Table, settings: Mapping[int, Mapping[str, Any]], commits: Commits, messages: list[str]
) -> list[Place]:
    places: list[Place] = []
    branches = commits.branches_by_commit()
    for index, params in settings.items():
        commit = table.told("commit", index)
        found = branches.get(commit, ())
        if not found:
            names = ", ".join(commits.branches)
            messages.append(f"Couldn't find {commit[:8]} in branches ({names})")
        places += [(index, commits.numbers[commit], {**params, "branch": name}) for name in found]
    return places


def _completed(places: list[Place], values: dict[str, set[Any]]) -> list[Place]:
    """The places with None for the settings a result lacks; `values` takes note of them."""
    completed: list[Place] = []
    for index, revision, params in places:
        lacking = dict.fromkeys(name for name in values if name not in params)
        for name in lacking:
            values[name].add(None)
        completed.append((index, revision, params | lacking))
    return completed
