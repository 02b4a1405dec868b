"""Say whether a commit is worse than the one it started from: the gate of a CI.

Both commits build their artifacts and apply their optimization passes with their own code; all
of it is measured here, interleaved, in a bounded time. Sizes, errors and counts are exact: any
worsening counts. Times are worse when they grew by the threshold or more in two sessions.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from mobileopt import accepted, accepted_names, commits, models, recipes
from mobileopt.accepted import FILE, Accepted
from mobileopt.errors import InputError, MobileoptError, OutputError, UnknownNameError
from mobileopt.gate import last_results
from mobileopt.gate.commits_compared import compare_commits
from mobileopt.gate.finding import NOT_RUN, Result
from mobileopt.gate.work import Question, Told
from mobileopt.report import gate as report
from mobileopt.report import junit, markdown
from mobileopt.store import Store, files
from mobileopt.variant import Recipe

HELP = "the gate of a CI: is this commit worse than its base?"
EXAMPLES = """examples:
  mobileopt check                                        HEAD against where it left main;
                                                         on main, against the commit before it
  mobileopt check --base v1.2 --budget 600
  mobileopt check --models resnet18 --recipes fx-float-nchw-mobile --passes fx
  mobileopt check --models nets:make --input 1,3,64,64 --passes   your own model
  mobileopt check --no-timing                            only what is exact: a minute
  mobileopt check --summary --junit check.xml            in a CI job
  mobileopt check --store results --machine pixel-8      nothing measured, weaker
  mobileopt check --accept >> mobileopt-accepted.toml    then say why, and commit it

exit codes: 0 nothing is worse, 1 something is worse, 2 it cannot be told (a busy machine, too
little time; the table says why), 3 the input cannot be used or a program failed, 130 stopped
"""

_MODELS = ("mobilenet_v2",)
_RECIPES = (
    "fx-float-nchw-torchscript",
    "fused-float-nhwc-mobile",
    "fused-int8_x86-nhwc-mobile",
)
_PASS_MODELS = ("annotated_conv_bn_relu",)
_PASSES = ("fx", "fused", "nhwc", "int8_x86")
_BACKEND_PASSES = ("torchscript", "mobile")
STORE = "results"
"""The folder of the store in a repository that has one."""
_DAYS = 90  # an accepted worsening is looked at again after a quarter


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.error = partial(_usage, parser)  # pyright: ignore[reportAttributeAccessIssue]
    parser.add_argument("--base",
        help="default: where HEAD left origin/HEAD, main or master; on it, the commit before HEAD",
    )  # fmt: skip
    parser.add_argument("--head", default="HEAD", help="the commit that is judged (HEAD)")
    for name, value, what in (
        ("--budget", Question.budget, "seconds for all of it"),
        ("--threshold", Question.threshold, "relative slowdown that matters"),
    ):
        parser.add_argument(name, type=_above_zero, default=value, help=f"{what} ({value:g})")
    parser.add_argument("--seed", type=int, default=0, help="draws the order within rounds (0)")
    _add_benchmarks(parser)
    parser.add_argument(
        "--store", type=Path, nargs="?", const=Path(STORE), metavar="FOLDER",
        help="measure nothing: judge the last results of a store (results); weaker",
    )  # fmt: skip
    parser.add_argument("--machine", help="the machine of the store, if it has several")
    _add_outputs(parser)


def _add_benchmarks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is compared")
    for names, count, values, what in (
        (["--models"], "+", _MODELS, "their artifacts"),
        (["--recipes", "--variants"], "*", _RECIPES, "as these recipes make them"),
        (["--passes"], "*", _PASSES, "optimization passes: what they do and how long they take"),
        (["--pass-models"], "+", _PASS_MODELS, "what the passes are applied to"),
    ):
        shown = f"{what} ({' '.join(values)})"
        group.add_argument(*names, nargs=count, default=values, metavar="NAME", help=shown)
    group.add_argument(
        "--input", action="append", default=[], metavar="SHAPE[:DTYPE[:BELOW]]",
        help="an input of your own model, as `mobileopt export` takes it",
    )  # fmt: skip
    group.add_argument(
        "--no-timing", dest="timed", action="store_false", help="sizes, errors and counts alone"
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what comes out")
    group.add_argument("--accepted", type=Path, metavar="FILE", help=f"({FILE} in the root)")
    group.add_argument(
        "--accept", action="store_true", help="print entries that accept what is worse, no table"
    )
    group.add_argument("--json", action="store_true", help="one JSON document")
    group.add_argument("--markdown", metavar="FILE", help="a table for people; - for stdout")
    group.add_argument("--junit", type=Path, metavar="FILE", help="a test case a benchmark")
    group.add_argument(
        "--summary", action="store_true", help="append the markdown to $GITHUB_STEP_SUMMARY"
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare, report and answer with the exit code."""
    try:
        _check_outputs(arguments)
        result, entries = _stored(arguments) if arguments.store else _compared(arguments)
        _report(arguments, result, _problems(arguments, entries, result))
    except MobileoptError as error:
        error.exit_code = NOT_RUN
        raise
    return result.exit_code


def _compared(arguments: argparse.Namespace) -> tuple[Result, Sequence[Accepted]]:
    repository = commits.top(Path.cwd())
    entries = accepted.read(arguments.accepted or repository / FILE)
    base, notes = _base(arguments, repository)
    with _progress() as told:
        result = compare_commits(_question(arguments, repository, base), entries, told)
    return replace(result, notes=(*notes, *result.notes)), entries


def _base(arguments: argparse.Namespace, repository: Path) -> tuple[str, Sequence[str]]:
    """What to compare with, and what a reader should know about the choice."""
    if arguments.base:
        return arguments.base, ()
    main, head = commits.main_branch(repository), arguments.head
    base = commits.merge_base(repository, main, head)
    if base != commits.resolve(repository, head):
        return base, ()
    try:
        parent = commits.first_parent(repository, head)
    except InputError as error:
        raise InputError(f"{error}, so it has no base; name one with --base") from error
    note = f"{head} is part of {main} already, so it is compared with the commit before it."
    return parent, (note,)


def _stored(arguments: argparse.Namespace) -> tuple[Result, Sequence[Accepted]]:
    repository = commits.top(Path.cwd()) if commits.is_repository(Path.cwd()) else None
    entries = accepted.read(arguments.accepted or (repository or Path()) / FILE)
    result = last_results.judge(
        Store(arguments.store),
        repository,
        machine=arguments.machine,
        threshold=arguments.threshold,
        accepted=entries,
    )
    return result, entries


def _question(arguments: argparse.Namespace, repository: Path, base: str) -> Question:
    for model in arguments.pass_models:
        if model not in models.names():
            raise UnknownNameError("model", model, models.names())
    return Question(
        repository=repository,
        base=base,
        head=arguments.head,
        models=tuple(arguments.models),
        recipes=tuple(Recipe.parse(each) for each in arguments.recipes),
        pass_models=tuple(arguments.pass_models),
        passes=tuple(map(_pass, arguments.passes)),
        inputs=tuple(arguments.input),
        threshold=arguments.threshold,
        budget=arguments.budget,
        timed=arguments.timed,
        seed=arguments.seed,
    )


def _pass(name: str) -> str:
    known = [word.name for word in recipes.WORDS if word.slot != "backend" and word.file]
    if name not in (*known, *_BACKEND_PASSES):
        raise UnknownNameError("pass", name, (*known, *_BACKEND_PASSES))
    return name


def _problems(
    arguments: argparse.Namespace, entries: Sequence[Accepted], result: Result
) -> Sequence[str]:
    root = commits.top(Path.cwd()) if commits.is_repository(Path.cwd()) else Path()
    return accepted_names.problems(
        entries,
        Store(arguments.store or root / STORE),
        [each.metric for each in result.findings],
        [each.subject for each in result.findings],
    )


@contextlib.contextmanager
def _progress() -> Iterator[Told]:
    console = Console(stderr=True)
    with console.status("") as status:
        launches: list[str] = []
        step = ""

        def begin(what: str) -> None:
            nonlocal step
            step = what
            status.update(what)
            if not console.is_terminal:
                console.print(what, markup=False, highlight=False)

        def launch(what: str) -> None:
            launches.append(what)
            status.update(f"{step}: {what}, launch {len(launches)}")

        yield Told(begin, launch)


def _check_outputs(arguments: argparse.Namespace) -> None:
    # Minutes of measuring must not be lost to a folder that does not exist.
    for name in (arguments.markdown, arguments.junit):
        if name not in (None, "-") and not Path(name).absolute().parent.is_dir():
            raise OutputError(f"{name} cannot be written: there is no folder for it")
    if arguments.summary and not os.environ.get("GITHUB_STEP_SUMMARY"):
        raise InputError("--summary needs the file that GITHUB_STEP_SUMMARY names; it is not set")


def _report(arguments: argparse.Namespace, result: Result, problems: Sequence[str]) -> None:
    for problem in problems:
        print(f"mobileopt: warning: {problem}", file=sys.stderr)
    if arguments.markdown not in (None, "-"):
        files.replace(Path(arguments.markdown), markdown.check(result))
    if arguments.junit:
        files.replace(arguments.junit, junit.dump(result))
    if arguments.summary:
        _append(Path(os.environ["GITHUB_STEP_SUMMARY"]), markdown.check(result))
    if arguments.accept:
        print(_entries(result))
    elif arguments.json:
        print(report.dump(result))
    elif arguments.markdown == "-":
        print(markdown.check(result), end="")
    else:
        report.show(result, Console(width=None if sys.stdout.isatty() else 200))


def _entries(result: Result) -> str:
    expires = date.today() + timedelta(days=_DAYS)
    made = [
        Accepted(
            each.metric,
            each.subject,
            _upwards(each.high),
            "TODO: why this is worth it",
            expires,
        ).to_toml()
        for each in result.having("worse")
    ]
    return "\n\n".join(made) or "# nothing is worse, there is nothing to accept"


def _upwards(ratio: float) -> float:
    """Room for the rounding of what is printed; an interval's end has room for noise already."""
    return ratio * (1 + 1e-5)


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _usage(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """As argparse's own, with the exit code that says 'not run' here."""
    parser.print_usage(sys.stderr)
    parser.exit(NOT_RUN, f"{parser.prog}: error: {message}\n")
