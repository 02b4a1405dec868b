"""The `mobileopt` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from mobileopt.errors import MobileoptError

COMMANDS = (
    "list",
    "capabilities",
    "export",
    "compare",
    "tune",
    "fidelity",
    "inspect",
    "check",
    "export-frame",
    "verify",
    "init",
)

_EPILOG = """examples:
  mobileopt list                        the models, the words of a recipe
  mobileopt capabilities                what this machine's torch can do of them
  mobileopt compare mobilenet_v2        which variant pays on this machine
  mobileopt tune mobilenet_v2           the fastest that keeps a fidelity
  mobileopt export resnet18 --recipe fx-float-nhwc-mobile -o artifacts
  mobileopt compare mynets:make --input 1,3,224,224
  mobileopt init --model mynets:make --input 1,3,224,224

exit codes: 0 done, 1 an answer that a script should stop at (`check`: worse; `tune`: nothing keeps
the limits; `verify`: a damaged store), 2 something was wrong and one sentence says what, 130
stopped by Ctrl-C; `check --help` has its own
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; every error a person can act on is one sentence on stderr."""
    arguments, unknown = _parser().parse_known_args(argv)
    if unknown:  # said by the command, whose exit code for it may be its own
        arguments.command.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return arguments.run(arguments)
    except MobileoptError as error:
        print(f"mobileopt: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("mobileopt: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mobileopt",
        description="Benchmarks of PyTorch models on their way to phones.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"mobileopt.commands.{name.replace('-', '_')}")
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add(command)
        command.set_defaults(run=module.run, command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
