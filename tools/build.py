"""Build speed_benchmark_torch for Android, full and lite, from a PyTorch checkout."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.text import Text

from mobileopt.android_build import builder, doctor
from mobileopt.android_build.cache import Cache, Entry, as_json
from mobileopt.android_build.checkout import REPOSITORY
from mobileopt.android_build.ndk import VARIABLES
from mobileopt.android_build.options import ABIS, FLAVOURS, options
from mobileopt.android_build.progress import progress
from mobileopt.errors import MobileoptError

EXAMPLES = """
examples:
  python -m tools.build --doctor --checkout ~/pytorch --ndk ~/android-ndk-r21b
                                   look, build nothing: what would go wrong, and its fix
  python -m tools.build --checkout ~/pytorch --ndk ~/android-ndk-r21b
                                   full and lite for arm64-v8a, into the cache
  ANDROID_NDK=~/android-ndk-r21b python -m tools.build --tag v2.8.0 --flavour lite
                                   clone PyTorch v2.8.0 first, submodules included
  python -m tools.build --tag v2.8.0 --define XNNPACK_ENABLE_ARM_I8MM=OFF --jobs 4
  python -m tools.build --list --json

exit codes: 0 built, or already in the cache; 2 an error, with one sentence and a fix;
130 cancelled by Ctrl-C, 143 by SIGTERM. A cancelled or failed build leaves the cache as it was.
"""


class _Terminated(KeyboardInterrupt):
    """SIGTERM, told from Ctrl-C by its exit code alone."""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m tools.build",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    source = made.add_argument_group("source")
    source.add_argument("--checkout", type=Path, metavar="DIR", help="a PyTorch git checkout")
    source.add_argument("--tag", metavar="TAG", help="clone this tag instead, into the cache")
    source.add_argument(
        "--repository",
        default=REPOSITORY,
        metavar="URL",
        help="where --tag clones from (%(default)s)",
    )
    target = made.add_argument_group("target")
    target.add_argument("--ndk", type=Path, metavar="DIR", help=f"else {', '.join(VARIABLES)}")
    target.add_argument("--abi", default="arm64-v8a", help=f"{', '.join(ABIS)} (%(default)s)")
    target.add_argument("--flavour", default="both", help=f"{', '.join(FLAVOURS)} (%(default)s)")
    target.add_argument("--vulkan", action="store_true", help="with the Vulkan backend")
    target.add_argument(
        "--define", action="append", default=[], metavar="NAME=VALUE", help="a CMake variable"
    )
    how = made.add_argument_group("how")
    how.add_argument(
        "--jobs", type=int, metavar="N", help="compile jobs (as CPUs and memory allow)"
    )
    how.add_argument(
        "--python", default=sys.executable, metavar="PATH", help="for code generation (this one)"
    )
    how.add_argument("--cache", type=Path, metavar="DIR", help="(~/.cache/mobileopt/android)")
    how.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="CHECK",
        help=f"go on despite an error of this check: {', '.join(doctor.CHECKS)}",
    )
    instead = made.add_mutually_exclusive_group()
    instead.add_argument("--doctor", action="store_true", help="only say what would go wrong")
    instead.add_argument("--list", action="store_true", help="only list what is in the cache")
    made.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return made


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    args = parser().parse_args(argv)
    errors = Console(stderr=True)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(args, errors)
    except MobileoptError as error:
        return _fail(args, errors, str(error), error.exit_code)
    except _Terminated:
        return _fail(args, errors, "terminated; the cache is as it was", 143)
    except KeyboardInterrupt:
        return _fail(args, errors, "cancelled; the cache is as it was", 130)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(args: argparse.Namespace, errors: Console) -> int:
    cache = Cache(args.cache or default_cache())
    if args.list:
        return _list(cache, as_document=args.json)
    order = _order(args, cache)
    if args.doctor:
        outcome = builder.Outcome(builder.diagnose(order))
    else:
        with progress(errors) as shown:
            outcome = builder.build(order, shown)
    return _report(args, outcome, errors)


def _order(args: argparse.Namespace, cache: Cache) -> builder.Order:
    wanted = options(
        args.abi, args.flavour, vulkan=args.vulkan, defines=tuple(args.define), jobs=args.jobs
    )
    return builder.Order(
        wanted,
        cache,
        dict(os.environ),
        # Not resolved: a virtual environment is found by the link's own place.
        Path(shutil.which(args.python) or args.python).absolute(),
        checkout=args.checkout,
        tag=args.tag,
        repository=args.repository,
        ndk=args.ndk,
        ignored=tuple(args.ignore),
    )


def _report(args: argparse.Namespace, outcome: builder.Outcome, errors: Console) -> int:
    code = 2 if outcome.refused else 0
    if args.json:
        _document(
            ok=not outcome.refused,
            error=None,
            findings=[vars(each) for each in outcome.findings],
            binaries=[as_json(each.entry) | {"cached": each.cached} for each in outcome.built],
        )
        return code
    if args.doctor or outcome.refused:
        for each in outcome.findings:
            errors.print(_coloured(each), soft_wrap=True)
        if not outcome.findings:
            errors.print("nothing found that would make the build fail")
    for each in outcome.built:
        print(each.entry.path)
    return code


def _list(cache: Cache, *, as_document: bool) -> int:
    entries = cache.entries()
    if as_document:
        good = [as_json(each) for _, each in entries if isinstance(each, Entry)]
        bad = [str(each) for _, each in entries if not isinstance(each, Entry)]
        _document(cache=str(cache.root), binaries=good, damaged=bad)
        return 0
    for folder, each in entries:
        if isinstance(each, Entry):
            print(f"{folder.name}  {each.size / 1e6:.1f} MB  {each.built}  {each.path}")
        else:
            print(f"{folder.name}  damaged: {each}")
    if not entries:
        Console(stderr=True).print(Text(f"the cache {cache.root} is empty"))
    return 0


def _fail(args: argparse.Namespace, errors: Console, says: str, code: int) -> int:
    if args.json:
        _document(ok=False, error=says, findings=[], binaries=[])
    else:
        errors.print(Text.assemble(("error: ", "bold red"), says), soft_wrap=True)
    return code


def _coloured(finding: doctor.Finding) -> Text:
    style = "bold red" if finding.severity == "error" else "yellow"
    return Text.assemble((finding.severity, style), str(finding)[len(finding.severity) :])


def _document(**fields: object) -> None:
    print(json.dumps(fields, indent=2))


def default_cache() -> Path:
    """Where binaries are kept unless told otherwise."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mobileopt" / "android"


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


if __name__ == "__main__":
    sys.exit(main())
