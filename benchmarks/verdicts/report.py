"""The tables of docs/measuring.md, printed, or put where they stand.

    python -m benchmarks.verdicts report                         all of them, over an hour
    python -m benchmarks.verdicts report comparison --write
    python -m benchmarks.verdicts report detection publish
    python -m benchmarks.verdicts report comparison --recorded runs/neighbours-2.jsonl

Each name is one of the commands beside this one, run as the document says. With `--write` what it
prints takes the place of what stands between `<!-- NAME -->` and `<!-- end -->` in the document,
below the command and the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import re
import shlex
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "measuring.md"
PARTS = {
    "detection": [],
    "comparison": ["--part", "machine", "--minutes", "20", "--neighbours", "2"],
    "simulation": ["--part", "simulation", "--sessions", "100"],
    "gate": ["--runs", "10"],
    "publish": [],
}
"""The options of each."""
_MODULES = {"simulation": "comparison"}


def main(arguments: Sequence[str]) -> int:
    """Run the parts one after the other; the greatest of their exit codes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--write", action="store_true", help=f"into docs/{DOCUMENT.name}")
    options, others = parser.parse_known_args(arguments)
    unknown = [name for name in options.names if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; known: {', '.join(PARTS)}")
    if others and len(options.names) != 1:
        parser.error(f"{others[0]} needs the one part it is an option of")
    code = 0
    for name in options.names or PARTS:
        text, own = printed(name, others or PARTS[name])
        code = max(code, own)
        print(text, flush=True)
        if options.write:
            DOCUMENT.write_text(placed(DOCUMENT.read_text("utf-8"), name, text), "utf-8")
    return code


def printed(name: str, options: Sequence[str]) -> tuple[str, int]:
    """What a part prints, below its command and the machine; and its exit code."""
    module = _MODULES.get(name, name)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = import_module(f"benchmarks.verdicts.{module}").main(list(options))
    command = shlex.join(["python", "-m", "benchmarks.verdicts", module, *options])
    load = f"load {os.getloadavg()[0]:.1f} at the end"
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {load}"
    return f"`{command}` on {machine}:\n\n{out.getvalue().strip()}", code


def placed(document: str, name: str, text: str) -> str:
    """The document with `text` between the marks of `name`; raises ValueError without them."""
    marks = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not marks.search(document):
        raise ValueError(f"the document has no marks <!-- {name} --> and <!-- end -->")
    return marks.sub(lambda found: f"{found[1]}{text}\n{found[2]}", document, count=1)


def processor() -> str:
    """The processor's name as Linux tells it, else its architecture."""
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        if found:
            return found[1]
    return platform.machine()
