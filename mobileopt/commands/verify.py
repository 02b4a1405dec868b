"""List everything that is wrong with a store of results, and change nothing.

Damaged and misplaced files, other versions of the format, commits that collide, results that asv
hides, torn lines and files that were moved aside: docs/store.md says what each of them means.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mobileopt.store import Store

HELP = "what is wrong with a store of results"
EXAMPLES = """examples:
  mobileopt verify                  ./results
  mobileopt verify lab/results

exit codes: 0 nothing is wrong, 1 something is, 2 there is no such store
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("store", nargs="?", type=Path, default=Path("results"), help="(results)")


def run(arguments: argparse.Namespace) -> int:
    """Print a line a problem; 1 when there is any."""
    problems = Store(arguments.store).verify()
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{arguments.store}: nothing is wrong")
    return 1 if problems else 0
