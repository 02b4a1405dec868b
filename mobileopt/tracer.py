"""Records what torch does in a forward pass: `mobileopt.trace`.

torch's profiler sees every call that goes through the dispatcher, also those which a prepacked or
quantized operator makes inside, where a dispatch mode of Python sees nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mobileopt.artifact import Artifact
from mobileopt.errors import CapabilityError
from mobileopt.trace import Call, TensorLayout, Trace

_SILENT = "6"  # above libkineto's errors: it looks for a GPU, and says that there is none


def refusal(made: Artifact) -> str | None:
    """Why a trace of an artifact would say nothing of it, or None."""
    if made.path.suffix == ".pte":
        return f"{made.variant} runs in ExecuTorch's own runtime, which torch's profiler cannot see"
    return None


def record(forward: Callable[[], object]) -> Trace:
    """The trace of one call of `forward`, which has to be warm: first calls compile and pack.

    Raises CapabilityError when nothing of it is torch's to see.
    """
    events = list(_profiled(forward))
    calls = tuple(_call(event, depth) for event, depth in events if _kind(event) == "TorchOp")
    if not calls:
        raise CapabilityError("torch's profiler sees no operator in it: another runtime runs it")
    sizes = (event.typed[1].alloc_size for event, _ in events if _kind(event) == "Allocation")
    return Trace(calls, tuple(size for size in sizes if size > 0), _flops(forward))


def _profiled(forward: Callable[[], object]) -> Iterator[tuple[Any, int]]:
    os.environ.setdefault("KINETO_LOG_LEVEL", _SILENT)
    options: dict[str, Any] = {"record_shapes": True, "profile_memory": True, "acc_events": True}
    with profile(activities=[ProfilerActivity.CPU], **options) as profiler:
        forward()
    results = profiler.profiler and profiler.profiler.kineto_results
    assert results, "a profiler that has ended has results"
    yield from _walk(results.experimental_event_tree(), 0)


def _walk(events: list[Any], depth: int) -> Iterator[tuple[Any, int]]:
    for event in events:
        is_frame = _is_frame(event)
        if not is_frame:
            yield event, depth
        inside = depth + (not is_frame and _kind(event) == "TorchOp")
        yield from _walk(event.children, inside)


def _is_frame(event: Any) -> bool:
    # TorchScript wraps its calls in one event a method, which is named without a namespace.
    return _kind(event) == "TorchOp" and "::" not in event.name


def _kind(event: Any) -> str:
    return str(event.typed[0]).rpartition(".")[2]


def _call(event: Any, depth: int) -> Call:
    layouts = (_layout(each) for each in event.typed[1].inputs if hasattr(each, "strides"))
    return Call(event.name, depth, tuple(layouts))


def _layout(tensor: Any) -> TensorLayout:
    return TensorLayout(tuple(tensor.sizes), tuple(tensor.strides))


def _flops(forward: Callable[[], object]) -> Mapping[str, int]:
    with FlopCounterMode(display=False) as counter:
        forward()
    counted = counter.get_flop_counts().get("Global", {})
    return {str(operator): int(count) for operator, count in counted.items()}
