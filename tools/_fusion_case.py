"""One model of torchvision, folded and checked: the child process of `tools.fusion_coverage`.

`python -m tools._fusion_case NAME` prints one JSON object; a crash here costs one row.
"""

from __future__ import annotations

import copy
import json
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import fx, nn
from torch.fx.experimental.optimization import fuse as torch_fuse
from torch.utils._pytree import tree_map

from mobileopt.optimizations import fold_conv_bn, fuse_modules
from mobileopt.optimizations._checking import difference, error
from mobileopt.optimizations._tracing import one_line, run
from mobileopt.optimizations.fold_conv_bn.calls import is_norm

EXACT = 1e-8
"""Relative error in float64 above which a fold is wrong: right ones stay below 1e-12."""

ROUNDED = 1e-3
"""The same in float32, for models too large for float64 here or that make float32 themselves."""

_SCORES = {
    "rcnn": {"box_score_thresh": 0.0, "box_detections_per_img": 20},
    "retinanet": {"score_thresh": 0.0, "detections_per_img": 20},
    "fcos": {"score_thresh": 0.0, "detections_per_img": 20},
    "ssd": {"score_thresh": 0.0, "detections_per_img": 20},
}


def build(name: str) -> nn.Module:
    """A model with weights from a fixed seed and nothing downloaded, detections not filtered."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"weights": None}
    family = torchvision.models.get_model_builder(name).__module__.split(".")[2]
    if family in ("detection", "segmentation"):
        options["weights_backbone"] = None
    if family == "detection":
        kind = next(key for key in _SCORES if key in name)
        options |= _SCORES[kind]
        if kind != "ssd":
            options |= {"min_size": 128, "max_size": 128}
    if name in ("googlenet", "inception_v3", "quantized_googlenet", "quantized_inception_v3"):
        options["init_weights"] = True
    return torchvision.models.get_model(name, **options)


def outline(name: str) -> nn.Module:
    """The model without its weights where it can be built so: enough to count what is in it."""
    try:
        with torch.device("meta"):
            return build(name)
    except NotImplementedError:  # regnet computes its widths with tensors
        return build(name)


def count_norms(model: nn.Module) -> int:
    """How many batch normalisations a model has."""
    return sum(is_norm(child) for child in model.modules())


def example_inputs(name: str) -> tuple[Any, ...]:
    """Two random images, clips or pairs, as small as the model takes."""
    family = torchvision.models.get_model_builder(name).__module__.split(".")[2]
    generator = torch.Generator().manual_seed(1)
    if family == "detection":
        return ([torch.rand(3, 128, 128, generator=generator) for _ in range(2)],)
    if family == "optical_flow":
        return tuple(torch.rand(2, 3, 128, 128, generator=generator) for _ in range(2))
    if family == "video":
        size = 224 if name == "s3d" else 64
        return (torch.randn(2, 3, 16, size, size, generator=generator),)
    large = any(part in name for part in ("inception", "googlenet", "maxvit", "vit_", "swin"))
    size = 224 if large else 64
    return (torch.randn(2, 3, size, size, generator=generator),)


def calibrate(model: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Statistics of the model's own activations, and scales and shifts that are not 1 and 0."""
    generator = torch.Generator().manual_seed(2)
    norms: list[Any] = [child for child in model.eval().modules() if is_norm(child)]
    for norm in norms:
        for parameter, middle in ((norm.weight, 1.0), (norm.bias, 0.0)):
            if isinstance(parameter, nn.Parameter):
                random = torch.rand(parameter.shape, generator=generator)
                parameter.data = middle + 0.4 * (random - 0.5)
        norm.train()
    for norm in norms:
        norm.momentum = None  # the average over the batches, not a mixture with the start
    with torch.no_grad():
        model(*copy.deepcopy(inputs))
    model.eval()


def measure(name: str) -> dict[str, Any]:
    """All figures of one model; `reason` is there instead where it could not run."""
    shape = outline(name)
    size = sum(parameter.numel() for parameter in shape.parameters())
    row: dict[str, Any] = {"parameters": size, "norms": count_norms(shape)}
    need, free = 5 * 4 * size, _available()
    if need > free:
        return row | {"reason": f"needs {need / 1e9:.0f} GB of memory, {free / 1e9:.0f} are free"}
    model, inputs = build(name), example_inputs(name)
    calibrate(model, inputs)
    row |= _folded(model, inputs)
    row |= _fused(model, inputs)
    wide = tree_map(lambda each: each.double(), inputs)
    if 2 * need > free or not _runs(model.double(), wide):
        return row | _verdicts(model.float(), inputs, ROUNDED)
    return row | _verdicts(model, wide, EXACT)


def _runs(model: nn.Module, inputs: tuple[Any, ...]) -> bool:
    try:
        run(model, inputs)
    except RuntimeError:  # RAFT makes float32 coordinates of its own
        return False
    return True


def _available() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 8 * 1024**3


def _folded(model: nn.Module, inputs: tuple[Any, ...]) -> dict[str, Any]:
    start = time.process_time()
    result = fold_conv_bn.apply(model, inputs)
    seconds = time.process_time() - start
    return {
        "folded": len(result.folded),
        "left": dict(Counter(_general(reason) for reason in result.left.values())),
        "seconds": seconds,
        "class": type(result.module).__name__,
        "error_float32": _error(run(model, inputs), run(result.module, inputs)),
    }


def _general(reason: str) -> str:
    """A reason without the names of one model's modules, so that equal ones count together."""
    words = ["'...'" if word.strip(",;").count("'") == 2 else word for word in reason.split()]
    return " ".join(words)


def _error(expected: Any, found: Any) -> float | None:
    """The relative error, or None where there is none to speak of: other boxes were chosen."""
    try:
        return error(expected, found)
    except (KeyError, RuntimeError):
        return None


def _fused(model: nn.Module, inputs: tuple[Any, ...]) -> dict[str, Any]:
    result = fuse_modules.apply(model, inputs)
    return {"groups": len(result.changed), "groups_left": len(result.left)}


def _verdicts(model: nn.Module, inputs: tuple[Any, ...], limit: float) -> dict[str, Any]:
    """Both folders against the model, in its precision."""
    expected = run(model, inputs)
    folded = fold_conv_bn.apply(model, inputs).module
    return {
        "limit": limit,
        "error": _error(expected, run(folded, inputs)),
        "torch": _torch_fx(model, inputs, expected, limit),
    }


def _torch_fx(
    model: nn.Module, inputs: tuple[Any, ...], expected: Any, limit: float
) -> dict[str, Any]:
    """What torch.fx.experimental.optimization.fuse does: folded, and right, wrong or crash."""
    try:
        before = _norm_calls(fx.symbolic_trace(copy.deepcopy(model)))
        fused = torch_fuse(copy.deepcopy(model))
        found = run(fused, inputs)
    except Exception as failure:
        return {"verdict": "crash", "folded": 0, "why": one_line(failure)}
    noise = _error(expected, found)
    right = noise is not None and noise <= limit and _same_form(expected, found)
    verdict = "right" if right else "wrong"
    return {"verdict": verdict, "folded": before - _norm_calls(fused), "error": noise}


def _same_form(expected: Any, found: Any) -> bool:
    clause = difference(expected, found)
    return clause is None or "relative error" in clause


def _norm_calls(graph: nn.Module) -> int:
    assert isinstance(graph, fx.GraphModule)
    calls = {str(node.target) for node in graph.graph.nodes if node.op == "call_module"}
    return sum(is_norm(graph.get_submodule(target)) for target in calls)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(measure(sys.argv[1])))
