"""Batches of a user's own data, for calibration or evaluation: from a callable or a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mobileopt import reference
from mobileopt.errors import InputError
from mobileopt.own import factory, weights
from mobileopt.own.running import printable, sentence

MOST = 256
"""How many batches are taken at most: enough for any range, and a stream may have no end."""

Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class Data:
    """Batches of inputs and the words that say where they are from."""

    source: str
    batches: tuple[Batch, ...]

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)


def load(named: str, example_inputs: Batch) -> Data:
    """The batches that a folder of ``.pt`` and ``.npy`` files holds or a callable gives.

    A file, or an item, is one batch: a tensor, or a tuple of as many as the model has inputs.
    Shapes may differ from the example inputs in their first dimension, dtypes not at all. The
    source ends with the number of batches and a digest of them. Raises InputError.
    """
    path = Path(named)
    if path.is_dir():
        label, found = f"folder:{printable(path.resolve().name)}", _in_folder(path)
    elif reference.is_factory(named):
        label, found = f"callable:{named}", _from_callable(named)
    else:
        raise InputError(
            f"{printable(named)!r} is neither a folder nor a callable, as mypackage.data:batches"
        )
    batches = tuple(_checked(where, batch, example_inputs) for where, batch in found)
    if not batches:
        raise InputError(f"{printable(named)!r} holds no batch: no .pt or .npy file, no item")
    return Data(f"{label}:{len(batches)}:{_digest(batches)}", batches)


def split(data: Data, example_inputs: Batch) -> Data:
    """The same data in batches as large as the example inputs' own; what is left over is out.

    Raises InputError when no batch is as large as those.
    """
    wanted = len(example_inputs[0])
    pieces: list[Batch] = []
    for batch in data:
        sizes = [len(example) for example in example_inputs]
        cut = [tensor.split(size) for tensor, size in zip(batch, sizes, strict=True)]
        parts = zip(*cut, strict=False)
        pieces += [part for part in parts if len(part[0]) == wanted]
    if not pieces:
        raise InputError(f"the batches of {data.source} are smaller than the model's of {wanted}")
    return Data(data.source, tuple(pieces))


def check_apart(calibration: Data, evaluation: Data) -> None:
    """Raise InputError when an input that is judged on was calibrated with."""
    known = {row for batch in calibration for row in _rows(batch)}
    for number, batch in enumerate(evaluation):
        if known.intersection(_rows(batch)):
            raise InputError(
                f"batch {number} of {evaluation.source} is in the calibration data as well; "
                "fidelity must be judged on other inputs"
            )


def _in_folder(folder: Path) -> Iterator[tuple[str, Any]]:
    files = (path for path in folder.iterdir() if path.suffix in (".pt", ".npy"))
    for path in islice(sorted(path for path in files if path.name[0] != "."), MOST):
        yield printable(str(path)), _array(path) if path.suffix == ".npy" else weights.read(path)


def _array(path: Path) -> Tensor:
    with sentence(f"{printable(str(path))} is not an array that numpy saved"):
        return torch.from_numpy(np.load(path, allow_pickle=False))  # pickled ones run code


def _from_callable(named: str) -> Iterator[tuple[str, Any]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(factory.SEED)
        found = factory.call(named, factory.find(named))
        if not isinstance(found, Iterable):
            raise InputError(f"{named} gives a {type(found).__name__}, not batches one by one")
        with sentence(f"{named} failed while giving batches"):
            yield from ((f"batch {n} of {named}", b) for n, b in enumerate(islice(found, MOST)))


def _checked(where: str, batch: Any, example_inputs: Batch) -> Batch:
    tensors: Sequence[Any] = [batch] if isinstance(batch, Tensor) else batch
    if not isinstance(tensors, Sequence) or not all(isinstance(x, Tensor) for x in tensors):
        raise InputError(f"{where} is a {type(batch).__name__}, not a tensor or a tuple of tensors")
    if len(tensors) != len(example_inputs):
        raise InputError(
            f"{where} has {len(tensors)} tensors, the model {len(example_inputs)} inputs"
        )
    for tensor, example in zip(tensors, example_inputs, strict=True):
        _check_like(where, tensor, example)
    return tuple(tensor.detach().cpu() for tensor in tensors)


def _check_like(where: str, tensor: Tensor, example: Tensor) -> None:
    if tensor.shape[1:] != example.shape[1:] or tensor.dim() != example.dim() or not len(tensor):
        raise InputError(
            f"{where} is of shape {tuple(tensor.shape)}, the model takes "
            f"{tuple(example.shape)} with any first number"
        )
    if tensor.dtype != example.dtype:
        raise InputError(f"{where} is {tensor.dtype}, the model takes {example.dtype}")
    if not torch.isfinite(tensor).all():
        raise InputError(f"{where} holds values that are not finite")


def _digest(batches: Iterable[Batch]) -> str:
    found = hashlib.sha256()
    for tensor in (tensor for batch in batches for tensor in batch):
        found.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
        found.update(_bytes(tensor))
    return found.hexdigest()[:12]


def _rows(batch: Batch) -> set[bytes]:
    """A digest of each input of a batch."""
    return {
        hashlib.sha256(b"".join(_bytes(tensor[row : row + 1]) for tensor in batch)).digest()
        for row in range(len(batch[0]))
    }


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
