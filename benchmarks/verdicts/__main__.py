"""`python -m benchmarks.verdicts NAME [OPTIONS]`: how far the project's verdicts can be trusted.

Prints tables as markdown. Examples:

    python -m benchmarks.verdicts detection
    python -m benchmarks.verdicts detection --seeds 10
    python -m benchmarks.verdicts comparison --part machine --minutes 8 --neighbours 2
    python -m benchmarks.verdicts nightly
    python -m benchmarks.verdicts gate --runs 10
    python -m benchmarks.verdicts store_scale
    python -m benchmarks.verdicts publish
    python -m benchmarks.verdicts tuning --models resnet18
    python -m benchmarks.verdicts instructions --models annotated_conv_bn_relu
    python -m benchmarks.verdicts report --write
"""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = {
    "comparison": "benchmarks.verdicts.comparison",
    "detection": "benchmarks.verdicts.detection",
    "gate": "benchmarks.verdicts.gate",
    "instructions": "benchmarks.verdicts.instructions",
    "nightly": "benchmarks.verdicts.nightly",
    "publish": "benchmarks.verdicts.publish",
    "report": "benchmarks.verdicts.report",
    "store_scale": "benchmarks.verdicts.store_scale",
    "tuning": "benchmarks.verdicts.tuning",
}
"""Name to module; a module has `main(arguments) -> exit code`."""


def main(arguments: list[str]) -> int:
    """Run one command; 2 for a name that does not exist."""
    if arguments and arguments[0] in COMMANDS:
        return import_module(COMMANDS[arguments[0]]).main(arguments[1:])
    print(__doc__, f"NAME is one of: {', '.join(COMMANDS)}", sep="\n")
    return 0 if arguments in (["-h"], ["--help"]) else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
