"""Export variants of a model: the file a backend runs, and a manifest beside it.

Each goes to its own folder, OUT/MODEL/RECIPE, wholly or not at all.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from mobileopt import recipes
from mobileopt.artifact import Delegation
from mobileopt.errors import MobileoptError
from mobileopt.report.units import bytes_, decibels
from mobileopt.variant import Recipe

HELP = "write the file of a variant, with its manifest"
EXAMPLES = """examples:
  mobileopt export mobilenet_v2 --recipe fx-float-nhwc-mobile -o artifacts
  mobileopt export resnet18 --recipe fx-int8_qnnpack-nhwc-mobile --recipe fx-float-nhwc-lite -o out
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("model", help="a model of `mobileopt list`")
    parser.add_argument(
        "--recipe", action="append", required=True, help="as fx-float-nhwc-mobile; repeatable"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--weights", help="pretrained weights, as DEFAULT; seeded without it")
    parser.add_argument("--batch", type=int, default=1, help="images in the inputs (default 1)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each recipe")


def run(arguments: argparse.Namespace) -> int:
    """Export every recipe that can be; exit code 2 when one could not."""
    wanted = [recipes.parse(text) for text in arguments.recipe]
    workshop = _workshop(arguments)
    console = Console(stderr=True)
    failed = 0
    for recipe in track(wanted, "exporting", console=console, transient=True):
        failed |= _export(workshop, recipe, arguments)
    return 2 if failed else 0


def _workshop(arguments: argparse.Namespace) -> Any:
    # Importing torch takes seconds; a wrong recipe is told before.
    from mobileopt.build import Workshop
    from mobileopt.network import load
    from mobileopt.torch_warnings import silence_known_warnings

    silence_known_warnings()
    return Workshop(load(arguments.model, arguments.weights), arguments.batch)


def _export(workshop: Any, recipe: Recipe, arguments: argparse.Namespace) -> bool:
    from mobileopt.build import export

    try:
        made = export(workshop, recipe, arguments.out)
    except MobileoptError as error:
        if arguments.json:
            print(json.dumps({"recipe": str(recipe), "refused": str(error)}), flush=True)
        else:
            print(f"mobileopt: {error}", file=sys.stderr)
        return True
    if arguments.json:
        told = {"recipe": str(recipe), "folder": str(made.folder), "delegation": made.delegation}
        print(json.dumps(told, default=asdict), flush=True)
    else:
        fidelity = made.fidelity
        print(f"{made.path}  {bytes_(made.size)}  SQNR {decibels(fidelity.noise)}")
        if made.delegation is not None:
            print(f"  {delegated(made.delegation)}")
    return False


def delegated(report: Delegation) -> str:
    """One line on what XNNPACK runs of a program and which operators it does not."""
    counts = ", ".join(f"{name} x{count}" for name, count in report.left.items())
    return (
        f"XNNPACK runs {report.delegated} operators in {report.partitions} partitions; "
        f"not delegated: {counts or 'none'}"
    )
