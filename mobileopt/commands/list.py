"""List the models, and the words a recipe is made of."""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.table import Table

from mobileopt import models, recipes
from mobileopt.variant import SLOTS, Variant

HELP = "the models, the words of a recipe, every variant"
EXAMPLES = """examples:
  mobileopt list
  mobileopt list --variants | grep mobilenet_v2
  mobileopt list --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--variants", action="store_true", help="every variant, a line each")
    parser.add_argument("--json", action="store_true", help="all of it, for machines")


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    if arguments.json:
        print(json.dumps(_everything(), indent=2))
    elif arguments.variants:
        print("\n".join(_variants()))
    else:
        _print_words()
    return 0


def _variants() -> list[str]:
    known = recipes.all_recipes()
    return [str(Variant(model, recipe)) for model in models.names() for recipe in known]


def _everything() -> dict[str, object]:
    words = [
        {"slot": word.slot, "name": word.name, "meaning": word.meaning} for word in recipes.WORDS
    ]
    return {"models": models.names(), "words": words, "variants": _variants()}


def _print_words() -> None:
    console = Console()
    console.print("Models: " + ", ".join(models.names()))
    table = Table(
        title="A recipe is one word of each slot: " + "-".join(SLOTS), title_justify="left"
    )
    for heading in ("slot", "word", "what it does"):
        table.add_column(heading)
    for word in recipes.WORDS:
        table.add_row(word.slot, word.name, word.meaning)
    console.print(table)
    console.print(
        f"{len(_variants())} variants (--variants lists them), such as "
        "mobilenet_v2/fx-float-nhwc-mobile"
    )
