"""Floating point operations of a forward pass."""

from __future__ import annotations

from mobileopt.errors import CapabilityError
from mobileopt.trace import Trace


def count(trace: Trace) -> int:
    """FLOPs of convolutions, matrix products and attention; a multiply-add is two.

    Biases, normalization, activations, pooling and element-wise operators are not counted, as is
    usual: `torch.utils.flop_counter` has no formulas for them.

    Raises CapabilityError for a pass with packed or quantized operators, which hide the shapes of
    their weights: count the float network as eager or TorchScript runs it.
    """
    hidden = sorted({call.operator for call in trace.calls if _is_opaque(call.operator)})
    if hidden:
        raise CapabilityError(
            f"packed weights hide their shapes in {', '.join(hidden)}; count the FLOPs of the "
            "float model under eager or torchscript"
        )
    return sum(trace.flops.values())


def _is_opaque(operator: str) -> bool:
    return not operator.startswith("aten::")
