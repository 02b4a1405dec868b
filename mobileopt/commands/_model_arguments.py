"""The arguments that name a model and what goes with it, the same for every command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobileopt import models, reference
from mobileopt.exporter import Order
from mobileopt.reference import InputSpec
from mobileopt.variant import Recipe


def add(parser: argparse.ArgumentParser) -> None:
    """Add the model and its options."""
    parser.add_argument(
        "model",
        help="a model of `mobileopt list`, a factory as mypackage.nets:make, or a program of "
        "torch.export as net.pt2 (factories and programs are code and are run)",
    )
    add_data(parser)


DATA = ("input", "weights", "calibration", "evaluation", "name")
"""The options of `add_data`."""


def add_data(parser: argparse.ArgumentParser, **kinds: Any) -> None:
    """Add the options that go with a model; `kinds` may say what to do with them."""
    group = parser.add_argument_group("the model's inputs, weights and data")
    group.add_argument(
        "--input", metavar="SHAPE[:DTYPE[:BELOW]]", **{"action": "append", "default": []} | kinds,
        help="an input of your own model, in order; as 1,3,224,224 or 1,16:int64:30522 for whole "
        "numbers below 30522",
    )  # fmt: skip
    group.add_argument(
        "--weights", **kinds,
        help="torchvision's, as DEFAULT, or the file of a state dict; one of our models is "
        "seeded without it, your own keeps what it comes with",
    )  # fmt: skip
    group.add_argument(
        "--calibration", metavar="DATA", **kinds,
        help="for int8: a folder of .pt and .npy files, or a callable as mypackage.data:batches; "
        "seeded synthetic batches without it",
    )  # fmt: skip
    group.add_argument(
        "--evaluation", metavar="DATA", **kinds,
        help="the same, for judging fidelity; never the same data",
    )  # fmt: skip
    group.add_argument(
        "--name", **kinds, help="call your own model so (mypackage.nets-make without it)"
    )


def check(arguments: argparse.Namespace) -> None:
    """Raise InputError for what can be seen to be wrong before torch is imported."""
    reference.kind(arguments.model, models.names())
    reference.name(arguments.model, arguments.name)
    _specs(arguments)


def order(
    arguments: argparse.Namespace, recipes: Sequence[Recipe], out: Path, batch: int = 1
) -> Order:
    """What to ask of the half that builds."""
    return Order(
        arguments.model,
        recipes,
        out,
        arguments.weights,
        batch,
        arguments.input,
        arguments.calibration,
        arguments.evaluation,
        arguments.name,
    )


def workshop(arguments: argparse.Namespace, batch: int = 1) -> Any:
    """The model itself, in this process: a `mobileopt.build.Workshop`."""
    check(arguments)
    # Importing torch takes seconds; a wrong name is told before.
    from mobileopt import build, network
    from mobileopt.torch_warnings import silence_known_warnings

    silence_known_warnings()
    found = network.load(
        arguments.model, arguments.weights, inputs=_specs(arguments), name=arguments.name
    )
    return build.workshop(found, batch, arguments.calibration, arguments.evaluation)


def _specs(arguments: argparse.Namespace) -> tuple[InputSpec, ...]:
    return tuple(InputSpec.parse(text) for text in arguments.input)
