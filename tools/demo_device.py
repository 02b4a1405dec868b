"""The whole way of a phone's results, without a phone.

Two loopback phones, each a folder behind a real adb server, are measured at once with this
computer's torch: exported, pushed, run in rounds, stored and published, into a folder of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from mobileopt.adb import Server
from mobileopt.collection.programs import given
from mobileopt.errors import MobileoptError
from mobileopt.run import Plan
from mobileopt.sampling import Budget
from tests.loopback import sandbox
from tests.loopback.adbd import Adbd
from tests.loopback.root import Clusters, Root
from tests.loopback.server import adb_server
from tools import collect
from tools.publish import PLUGIN, publish

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "tests" / "loopback" / "speed_benchmark_torch.py"
MODELS = ("annotated_conv_bn_relu", "mobilenet_v2")
RECIPES = (
    "unfused-float-nchw-mobile",
    "fused-float-nchw-mobile",
    "unfused-float-nhwc-mobile",
    "fused-float-nhwc-mobile",
    "fused-int8_qnnpack-nhwc-mobile",
)
EXAMPLES = """examples:
  make demo-device                                  a few minutes
  python -m tools.demo_device --rounds 2            faster, and too little for intervals
  python -m tools.demo_device --out /tmp/demo       keep it there
"""


@dataclass(frozen=True)
class Demo:
    """Where everything of a demonstration goes, and what is measured."""

    out: Path
    models: tuple[str, ...] = MODELS
    recipes: tuple[str, ...] = RECIPES
    rounds: int = 6
    pure: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code, that of `tools.collect`."""
    options = _parser().parse_args(argv)
    console = Console(stderr=True)
    out = options.out or Path(tempfile.mkdtemp(prefix="mobileopt-demo-"))
    demo = Demo(
        out.absolute(), tuple(options.model or MODELS), RECIPES, options.rounds, options.pure
    )
    try:
        summary, html = run(demo, console)
    except MobileoptError as error:
        console.print(f"demo: {error}", style="red", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print(f"demo: stopped; what was finished is in {demo.out}", markup=False)
        return 130
    collect.show(summary, console)
    print(f"The results: {demo.out / 'results'}")
    print(f"The site:    {html / 'index.html'}")
    print(f"To look at it: {sys.executable} -m http.server -b 127.0.0.1 -d {html} 8000")
    print("               and http://127.0.0.1:8000/#/variants")
    return summary.code


def run(demo: Demo, console: Console) -> tuple[collect.Summary, Path]:
    """Measure two loopback phones and publish; the phones are gone afterwards, the results stay.

    Raises what collecting and publishing raise.
    """
    demo.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="mobileopt-phones-") as folder,
        _phones(Path(folder), console, pure=demo.pure) as server,
    ):
        summary = collect.collect(_order(demo, Path(folder)), server, console=console)
    config = demo.out / "asv.conf.json"
    config.write_text(json.dumps(_configuration()), encoding="utf-8")
    html, warnings = publish(config, None, False, console)
    for warning in warnings:
        console.print(f"publish: {warning}", style="yellow", markup=False)
    return summary, html


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m tools.demo_device",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--out", type=Path, metavar="DIR", help="(a new temporary folder)")
    made.add_argument("--rounds", type=int, default=6, help="of each variant (%(default)s)")
    made.add_argument("--model", action="append", choices=MODELS, help="repeatable (both)")
    made.add_argument(
        "--pure", action="store_true", help="Python's phones, also where real adbd could be had"
    )
    return made


def _order(demo: Demo, folder: Path) -> Any:
    program = folder / "speed_benchmark_torch"
    text = PROGRAM.read_text(encoding="utf-8")
    program.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    return collect.prepare(
        collect.suite(demo.models, demo.recipes),
        store=demo.out / "results",
        programs=(given(str(program)),),
        plan=Plan(iterations=10, warmup=10, threads=1),
        budget=Budget(rounds=demo.rounds, seconds=600),
    )


def _configuration() -> dict[str, Any]:
    return {
        "version": 1,
        "project": "mobileopt demo",
        "repo": str(ROOT),
        "branches": ["HEAD"],
        "plugins": [PLUGIN],
        "results_dir": "results",
        "html_dir": "html",
    }


@contextlib.contextmanager
def _phones(folder: Path, console: Console, *, pure: bool) -> Generator[Server, None, None]:
    """Two phones behind a server of their own; all gone at the end."""
    why = "asked for" if pure else sandbox.missing()
    kind = f"of Python ({why})" if why else "with a real adbd, mksh and toybox"
    console.print(f"Two loopback phones {kind}, behind an adb server of their own.", markup=False)
    with contextlib.ExitStack() as stack:
        home = folder / "adb"
        home.mkdir()
        port = stack.enter_context(adb_server(home))
        stack.enter_context(_environment("ANDROID_ADB_SERVER_PORT", str(port)))
        server = Server("127.0.0.1", port)
        for name in ("DEMO-A", "DEMO-B"):
            root = Root(folder / name, name, _host_cores(), **_properties(name))
            phone = Adbd(root) if why else sandbox.Sandbox(root)
            stack.callback(phone.power_off)
            stack.enter_context(_ticking(root))
            server.connect(phone.address)
        yield server


def _properties(name: str) -> dict[str, str]:
    # What runs is this computer, and nobody shall take it for a Pixel.
    return {
        "ro.product.manufacturer": "mobileopt",
        "ro.product.model": f"Loopback {name[-1]}",
        "ro.soc.manufacturer": "this",
        "ro.soc.model": "computer",
    }


def _host_cores() -> Clusters:
    return {0: (range(os.cpu_count() or 1), (500_000, 1_000_000), 1024, "0x000")}


@contextlib.contextmanager
def _ticking(root: Root) -> Generator[None, None, None]:
    """Do the accounting of a kernel, which alone knows how long each clock was used."""
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.2):
            root.account()

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()


@contextlib.contextmanager
def _environment(name: str, value: str) -> Generator[None, None, None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


if __name__ == "__main__":
    sys.exit(main())
