"""Export variants of a model: the file a backend runs, and a manifest beside it.

Each goes to its own folder, OUT/MODEL/RECIPE, wholly or not at all.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import track

from mobileopt import recipes
from mobileopt.artifact import Delegation
from mobileopt.commands import _model_arguments
from mobileopt.errors import MobileoptError
from mobileopt.report.units import bytes_, decibels
from mobileopt.variant import Recipe

HELP = "write the file of a variant, with its manifest"
EXAMPLES = """examples:
  mobileopt export mobilenet_v2 --recipe fx-float-nhwc-mobile -o artifacts
  mobileopt export resnet18 --recipe fx-int8_qnnpack-nhwc-mobile --recipe fx-float-nhwc-lite -o out
  mobileopt export mypackage.nets:make --input 1,3,224,224 --recipe fx-float-nhwc-mobile -o out
  mobileopt export detector.pt2 --calibration images/ --recipe unfused-float-nhwc-mobile -o out
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _model_arguments.add(parser)
    parser.add_argument(
        "--recipe", action="append", required=True, help="as fx-float-nhwc-mobile; repeatable"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--batch", type=int, default=1, help="images in the inputs (default 1)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each recipe")


def run(arguments: argparse.Namespace) -> int:
    """Export every recipe that can be; exit code 2 when one could not."""
    wanted = [recipes.parse(text) for text in arguments.recipe]
    console = Console(stderr=True)
    failed = 0
    out = sys.stdout
    with redirect_stdout(sys.stderr):  # a user's model may print, and our lines are read
        workshop = _model_arguments.workshop(arguments, arguments.batch)
        for recipe in track(wanted, "exporting", console=console, transient=True):
            failed |= _export(workshop, recipe, arguments, out)
    return 2 if failed else 0


def _export(workshop: Any, recipe: Recipe, arguments: argparse.Namespace, out: TextIO) -> bool:
    from mobileopt.build import export

    try:
        made = export(workshop, recipe, arguments.out)
    except MobileoptError as error:
        if arguments.json:
            print(json.dumps({"recipe": str(recipe), "refused": str(error)}), file=out, flush=True)
        else:
            print(f"mobileopt: {error}", file=sys.stderr)
        return True
    if arguments.json:
        told = {"recipe": str(recipe), "folder": str(made.folder), "delegation": made.delegation}
        print(json.dumps(told, default=asdict), file=out, flush=True)
    else:
        size, noise = bytes_(made.size), decibels(made.fidelity.noise)
        print(f"{made.path}  {size}  SQNR {noise}", file=out)
        if made.delegation is not None:
            print(f"  {delegated(made.delegation)}", file=out)
    return False


def delegated(report: Delegation) -> str:
    """One line on what XNNPACK runs of a program and which operators it does not."""
    counts = ", ".join(f"{name} x{count}" for name, count in report.left.items())
    return (
        f"XNNPACK runs {report.delegated} operators in {report.partitions} partitions; "
        f"not delegated: {counts or 'none'}"
    )
