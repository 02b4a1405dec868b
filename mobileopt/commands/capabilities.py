"""Say what this machine's torch and its companions can do, and what is missing for the rest.

What is missing makes the words that need it n/a, with this sentence.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

HELP = "what this machine's torch can do, and what is missing"
EXAMPLES = """examples:
  mobileopt capabilities
  mobileopt capabilities --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--json", action="store_true", help="all of it, for machines")


def run(arguments: argparse.Namespace) -> int:
    """Probe and print; something missing is an answer, not an error."""
    # Importing torch takes seconds; --help need not.
    from mobileopt import capabilities
    from mobileopt.torch_warnings import silence_known_warnings

    silence_known_warnings()
    found = capabilities.probe()
    if arguments.json:
        print(json.dumps([asdict(each) for each in found], indent=2))
        return 0
    table = Table()
    for heading in ("capability", "for", "here"):
        table.add_column(heading)
    for each in found:
        here = Text(each.missing, "yellow") if each.missing else Text("yes", "green")
        table.add_row(each.name, each.purpose, here)
    Console().print(table)
    return 0
