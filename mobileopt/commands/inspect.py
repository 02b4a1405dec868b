"""Count what a forward pass does: figures that no other process on the machine can change.

Operators, layout conversions and allocations as torch's profiler sees them in one warm pass, FLOPs
by torch's own formulas (a multiply-add is two), and the bytes of the file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from mobileopt import artifact, models, recipes
from mobileopt.artifact import MANIFEST, Artifact
from mobileopt.errors import CapabilityError, InputError, MobileoptError, UnknownNameError
from mobileopt.metrics import allocations, flops, layout_conversions, operators
from mobileopt.report.units import bytes_
from mobileopt.trace import Trace
from mobileopt.variant import Variant

HELP = "count operators, layout conversions, allocations, FLOPs"
EXAMPLES = """examples:
  mobileopt inspect mobilenet_v2/unfused-float-nchw-mobile mobilenet_v2/unfused-float-nhwc-mobile
  mobileopt inspect artifacts/resnet18/fx-float-nhwc-mobile
  mobileopt inspect mlp/unfused-float-nchw-eager --json
"""

_HEADINGS = {
    "size_bytes": "size",
    "flops": "FLOPs",
    "operator_calls": "operator calls",
    "layout_conversions": "layout conversions",
    "allocations": "allocations",
    "allocated_bytes": "allocated",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "targets", nargs="+", metavar="ARTIFACT|VARIANT",
        help="a folder `mobileopt export` wrote, or MODEL/RECIPE to export and look at",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="a line of JSON for each")


def run(arguments: argparse.Namespace) -> int:
    """Inspect every target that can be; exit code 2 when one could not."""
    variants = {each: _variant(each) for each in arguments.targets if not _is_artifact(each)}
    facts: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="mobileopt-") as out:
        console = Console(stderr=True)
        for target in track(arguments.targets, "inspecting", console=console, transient=True):
            found = _told(target, variants.get(target), Path(out))
            facts.append(found)
            if arguments.json:
                print(json.dumps(found), flush=True)
    if not arguments.json:
        _print_refused(facts)
        _print_table([each for each in facts if "refused" not in each])
    return 2 if any("refused" in each for each in facts) else 0


def _is_artifact(target: str) -> bool:
    return (Path(target) / MANIFEST).is_file()


def _variant(target: str) -> Variant:
    if target.count("/") != 1 or Path(target).exists():
        raise InputError(f"{target!r} is neither an artifact's folder nor MODEL/RECIPE")
    variant = Variant.parse(target)
    if variant.model not in models.names():
        raise UnknownNameError("model", variant.model, models.names())
    recipes.check(variant.recipe)
    return variant


def _told(target: str, variant: Variant | None, out: Path) -> dict[str, Any]:
    try:
        with redirect_stdout(sys.stderr):  # a user's model may print
            folder = _exported(variant, out) if variant else Path(target)
            return {"target": target, **_facts(*_traced(folder))}
    except MobileoptError as error:
        return {"target": target, "refused": str(error)}


def _exported(variant: Variant, out: Path) -> Path:
    from mobileopt.build import export

    return export(_workshop(variant.model), variant.recipe, out).folder


@cache
def _workshop(model: str) -> Any:
    from mobileopt.build import Workshop
    from mobileopt.network import load
    from mobileopt.torch_warnings import silence_known_warnings

    silence_known_warnings()
    return Workshop(load(model))


def _traced(folder: Path) -> tuple[Artifact, Trace]:
    made = artifact.read(folder)  # a damaged artifact is told before torch's slow import
    from mobileopt import execution, tracer

    if reason := tracer.refusal(made):
        raise CapabilityError(reason)
    forward = execution.load(folder)[1]
    execution.warm_up(forward)
    return made, tracer.record(forward)


def _facts(made: Artifact, trace: Trace) -> dict[str, Any]:
    return {
        "variant": str(made.variant),
        "size_bytes": made.size,
        **_flops(trace),
        "operator_calls": operators.total(trace),
        "layout_conversions": layout_conversions.count(trace),
        "allocations": allocations.count(trace),
        "allocated_bytes": allocations.total_bytes(trace),
        "operators": dict(operators.histogram(trace)),
    }


def _flops(trace: Trace) -> dict[str, Any]:
    try:
        return {"flops": flops.count(trace)}
    except CapabilityError as error:
        return {"flops": None, "flops_unknown": str(error)}


def _print_refused(facts: list[dict[str, Any]]) -> None:
    for each in facts:
        if "refused" in each:
            print(f"mobileopt: {each['refused']}", file=sys.stderr)


def _print_table(facts: list[dict[str, Any]]) -> None:
    if not facts:
        return
    table = Table(title="One warm forward pass", title_justify="left")
    table.add_column("", no_wrap=True)
    for each in facts:
        table.add_column(each["variant"].replace("/", "/\n"), justify="right", overflow="fold")
    for key, heading in _HEADINGS.items():
        table.add_row(heading, *(_cell(key, each[key]) for each in facts))
    table.add_section()
    called = {name: None for each in facts for name in each["operators"]}
    for name in called:
        table.add_row(name, *(f"{each['operators'].get(name, 0):,}" for each in facts))
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    for reason in dict.fromkeys(each["flops_unknown"] for each in facts if not each["flops"]):
        console.print(f"n/a: {reason}", style="dim", markup=False)


def _cell(key: str, value: int | None) -> str:
    if value is None:
        return "n/a"
    return bytes_(value) if key.endswith("bytes") else f"{value:,}"
