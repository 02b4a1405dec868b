"""What got worse in a store of results, and what of it is open, fixed or accepted.

Each line is a worsening of one metric of one variant on one machine, with the commits it came
with, its size and interval, and whether the commit or the machine is suspected. `open` is one
whose level still holds; `past` one whose benchmark or environment was replaced since.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from rich.console import Console

from mobileopt import accepted, accepted_names, analyses, commits, history
from mobileopt.accepted import FILE
from mobileopt.analyses import Analyses
from mobileopt.errors import MobileoptError, UnknownNameError
from mobileopt.history import Change
from mobileopt.report import atom, markdown
from mobileopt.report import changes as report
from mobileopt.series import Origin
from mobileopt.store import Store, files

_EPILOG = """examples:
  python -m tools.regressions                            what is open, the largest first
  python -m tools.regressions --state all --sort date
  python -m tools.regressions --model mobilenet_v2 --min-size 0.05 --since 2026-01-01
  python -m tools.regressions --improvements --state all
  python -m tools.regressions --atom changes.xml --markdown regressions.md

exit codes: 0 the list is complete (also when it is empty), 2 something was wrong
"""

_SORTS: dict[str, Callable[[Change], object]] = {
    "size": lambda each: -each.ratio if each.direction == "worse" else each.ratio,
    "date": lambda each: -each.date.timestamp(),
    "machine": lambda each: (each.machine, each.metric.name, each.subject),
    "variant": lambda each: (each.subject, each.metric.name, each.machine),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 2 with one sentence when something was wrong."""
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except MobileoptError as error:
        print(f"regressions: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("regressions: stopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.regressions",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("store", nargs="?", type=Path, default=Path("results"), help="(results)")
    parser.add_argument("--repository", type=Path, default=Path(), help="of the commits (here)")
    parser.add_argument("--accepted", type=Path, metavar="FILE", help=f"({FILE} in its root)")
    parser.add_argument("--improvements", action="store_true", help="what got better instead")
    _add_filters(parser)
    parser.add_argument("--sort", choices=sorted(_SORTS), default="size", help="(size)")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--markdown", metavar="FILE", help="write a table; - prints it")
    parser.add_argument("--atom", type=Path, metavar="FILE", help="write a feed")
    return parser


def _add_filters(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which")
    for name in ("machine", "model", "variant", "metric"):
        group.add_argument(f"--{name}", help=f"of this {name}")
    group.add_argument("--since", type=_day, metavar="YYYY-MM-DD", help="commits from this day on")
    group.add_argument(
        "--min-size", type=_size, default=0.0, metavar="FRACTION", help="0.05 is five percent"
    )
    states = sorted({*history.WORSE_STATES, *history.BETTER_STATES})
    group.add_argument("--state", choices=[*states, "all"], help="(open; kept for improvements)")


def _run(arguments: argparse.Namespace) -> None:
    console = Console(stderr=True)
    root = _root(arguments.repository)
    entries = accepted.read(arguments.accepted or (root or Path()) / FILE)
    store = Store(arguments.store)
    with console.status(f"reading {arguments.store}"):
        lines = history.read(store, root)
        with Analyses(analyses.location(store.path)) as kept:
            everything = history.judge(lines, repository=root, accepted=entries, analyse_all=kept)
    _check_names(arguments, list(lines.values))
    metrics = sorted({each.metric.name for each in lines.values})
    subjects = sorted({history.subject(each) for each in lines.values})
    for problem in accepted_names.problems(entries, store, metrics, subjects):
        print(f"regressions: warning: {problem}", file=sys.stderr)
    found = sorted(_chosen(everything, arguments), key=_SORTS[arguments.sort])  # pyright: ignore[reportCallIssue, reportArgumentType] each key compares with its own kind
    _write_files(found, arguments)
    if arguments.json:
        print(report.dump(found))
    elif arguments.markdown == "-":
        print(markdown.changes(found), end="")
    else:
        report.show(found, Console(width=None if sys.stdout.isatty() else 200))


def _root(repository: Path) -> Path | None:
    if commits.is_repository(repository):
        return commits.top(repository)
    print(
        f"regressions: {repository.absolute()} is no git repository; the commits' dates order them",
        file=sys.stderr,
    )
    return None


def _check_names(arguments: argparse.Namespace, origins: Sequence[Origin]) -> None:
    subjects = [history.subject(each) for each in origins]
    for what, names in (
        ("machine", [each.device for each in origins]),
        ("model", [each.partition("/")[0] for each in subjects]),
        ("variant", subjects),
        ("metric", [each.metric.name for each in origins]),
    ):
        asked = getattr(arguments, what)
        if asked is not None and asked not in names:
            raise UnknownNameError(f"{what} of {arguments.store}", asked, sorted(set(names))[:40])


def _chosen(everything: Sequence[Change], arguments: argparse.Namespace) -> list[Change]:
    default = "kept" if arguments.improvements else "open"
    state = arguments.state or default
    return history.select(
        everything,
        machine=arguments.machine,
        model=arguments.model,
        variant=arguments.variant,
        metric=arguments.metric,
        since=arguments.since,
        min_size=arguments.min_size,
        state=None if state == "all" else state,
        direction="better" if arguments.improvements else "worse",
    )


def _write_files(found: Sequence[Change], arguments: argparse.Namespace) -> None:
    texts = {arguments.atom: atom.dump, arguments.markdown: markdown.changes}
    for name, dump in texts.items():
        if name in (None, "-"):
            continue
        files.replace(Path(name), dump(found))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day as 2026-01-31") from None


def _size(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a fraction as 0.05")
    return number


if __name__ == "__main__":
    sys.exit(main())
