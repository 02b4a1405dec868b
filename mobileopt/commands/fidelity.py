"""Show how far each layer of an optimized model is from the original's, worst first.

Compared before the backend, on the inputs that fidelity is judged on. A layer's noise is what it
adds and what it was given. `mobileopt export` judges the model as a whole.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from mobileopt import recipes
from mobileopt.commands import _model_arguments
from mobileopt.report.units import decibels, sqnr

HELP = "how far each layer of a variant is from the original's, worst first"
EXAMPLES = """examples:
  mobileopt fidelity mobilenet_v2 fused-int8_qnnpack-nhwc-mobile
  mobileopt fidelity resnet18 unfused-int8_x86-nchw-torchscript --worst 5
  mobileopt fidelity mynets:make unfused-int8_x86-nchw-mobile --input 1,3,224,224 --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _model_arguments.add(parser)
    parser.add_argument("recipe", help="as fx-int8_qnnpack-nhwc-mobile")
    parser.add_argument("--worst", type=int, metavar="N", help="show only so many layers")
    parser.add_argument("--json", action="store_true", help="all of it, for machines")


def run(arguments: argparse.Namespace) -> int:
    """Optimize, run both models on the same inputs, print the layers."""
    recipe = recipes.parse(arguments.recipe)
    console = Console(stderr=True)
    with console.status("comparing layers"):
        name, found = _compare(arguments, recipe)
    if arguments.json:
        print(json.dumps(_document(name, found)))
    else:
        _show(name, found, arguments.worst, Console(width=None if sys.stdout.isatty() else 160))
    return 0


def _compare(arguments: argparse.Namespace, recipe: Any) -> tuple[str, Any]:
    workshop = _model_arguments.workshop(arguments)
    from mobileopt import build

    return f"{workshop.network.name}/{recipe}", build.layer_fidelity(workshop, recipe)


def _document(name: str, found: Any) -> dict[str, Any]:
    layers = [
        {"layer": each.name, "kind": each.kind, "against": each.against, **_noise(each.noise)}
        for each in found.layers
    ]
    return {"variant": name, "layers": layers, "vanished": dict(found.vanished)}


def _noise(noise: float) -> dict[str, float | None]:
    decibel = sqnr(noise)
    return {
        "noise": noise if math.isfinite(noise) else None,
        "sqnr_db": decibel if math.isfinite(decibel) else None,
    }


def _show(name: str, found: Any, worst: int | None, console: Console) -> None:
    table = Table(title=f"{name}: SQNR of each layer's output, worst first", title_justify="left")
    for heading in ("layer", "is", "compared with"):
        table.add_column(heading, no_wrap=True)
    table.add_column("SQNR", justify="right", no_wrap=True)
    for layer in found.layers[:worst]:
        table.add_row(layer.name, layer.kind, layer.against, decibels(layer.noise))
    console.print(table)
    for vanished, reason in found.vanished.items():
        console.print(f"{vanished}: {reason}", style="dim", markup=False, highlight=False)
