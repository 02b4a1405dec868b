"""Programs that `torch.export` saved, as modules like any other.

Such a file is code, as a user's factory is: torch runs what it holds, so it must be trusted.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from mobileopt.errors import InputError
from mobileopt.own.running import sentence
from mobileopt.reference import InputSpec


def load(path: Path) -> tuple[nn.Module, tuple[InputSpec, ...]]:
    """The module of a ``.pt2`` file and the inputs it was exported for.

    Raises InputError.
    """
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}")
    with sentence(f"{str(path)!r} is not a program that torch.export saved"), _quiet():
        program = torch.export.load(path)
    specs = _specs(path, program)
    with sentence(f"the program {str(path)!r} cannot be made a module"), _quiet():
        # Tracing leaves out the checks of its inputs, which neither pickle nor script.
        return fx.symbolic_trace(program.module(check_guards=False)).eval(), specs


def _specs(path: Path, program: ExportedProgram) -> tuple[InputSpec, ...]:
    names = set(program.graph_signature.user_inputs)
    nodes = [n for n in program.graph.nodes if n.op == "placeholder" and n.name in names]
    values = [value for n in nodes if isinstance(value := n.meta.get("val"), Tensor)]
    if len(values) != len(names):
        raise InputError(f"the program {str(path)!r} takes something else than tensors")
    return tuple(_spec(value) for value in values)


def _spec(value: Tensor) -> InputSpec:
    # A size that may change is symbolic; what it was at the export is its hint.
    shape = tuple(int(getattr(getattr(n, "node", n), "hint", n) or 1) for n in value.shape)
    return InputSpec(shape, str(value.dtype).removeprefix("torch."))


@contextmanager
def _quiet() -> Iterator[None]:
    # A file that is no program is logged with its traceback before it is raised.
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about how it reads its own format
            yield
    finally:
        logging.disable(level)
