"""What this machine's torch and its companions can do, probed in one place.

Builds of torch differ: wheels later than 2.12 lack XNNPACK, a platform lacks an engine, a later
release will lack torch.ao. Each probe answers None when all is well and one sentence when not,
and every refusal for want of something is that sentence. Torch is imported when a probe runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any

ENGINES = ("qnnpack", "x86", "onednn")
"""The quantized engines a recipe can name."""


@dataclass(frozen=True)
class Capability:
    """One thing that can be missing, what it is for, and why it is missing or None."""

    name: str
    purpose: str
    missing: str | None


def probe() -> tuple[Capability, ...]:
    """Every capability, probed here and now."""
    engines = [(f"engine {name}", f"int8 words ending in _{name}", _ask(name)) for name in ENGINES]
    rows: list[tuple[str, str, Callable[[], str | None]]] = [
        ("xnnpack", "backends mobile and lite", xnnpack),
        ("lite interpreter", "backend lite", lite_interpreter),
        ("torch.ao", "fused, static and dynamic int8 by torch's own kernels", torch_ao),
        *engines,
        ("executorch", "backend executorch", executorch),
        ("torchao", "backend executorch, precision int8_xnnpack", torchao),
    ]
    return tuple(Capability(name, purpose, missing()) for name, purpose, missing in rows)


def _ask(name: str) -> Callable[[], str | None]:
    return lambda: quantized_engine(name)


def xnnpack() -> str | None:
    """Torch's own XNNPACK, which its wheels lost after 2.12."""
    if import_module("torch.backends.xnnpack").enabled:  # its module class is not in the stubs
        return None
    return (
        f"torch {_torch()} is built without XNNPACK, so optimize_for_mobile fails; "
        "2.12.1 is the last torch whose wheels have it"
    )


def lite_interpreter() -> str | None:
    """The interpreter that loads ``.ptl`` files."""
    try:
        import_module("torch.jit.mobile")
    except ImportError as error:
        return f"torch {_torch()} has no lite interpreter ({_one_line(error)})"
    return None


def torch_ao() -> str | None:
    """Torch's eager and FX quantization, deprecated since 2.10 in favour of torchao."""
    try:
        import_module("torch.ao.quantization")
    except ImportError as error:
        return (
            f"torch {_torch()} has no torch.ao.quantization ({_one_line(error)}); "
            "2.12.1 is a torch that has it"
        )
    return None


def quantized_engine(name: str) -> str | None:
    """A set of torch's int8 kernels; which there are depends on the platform it was built for."""
    quantized: Any = import_module("torch").backends.quantized
    available = [each for each in quantized.supported_engines if each != "none"]
    if name in available:
        return None
    return f"this torch has no quantized engine {name!r}; it has {', '.join(available) or 'none'}"


def executorch() -> str | None:
    """ExecuTorch's runtime with the XNNPACK backend.

    It is native code built against one torch, so it is imported to be believed.
    """
    try:
        runtime = executorch_runtime()
    except ModuleNotFoundError:
        return "executorch is not installed; pip install 'mobileopt[executorch]'"
    except (ImportError, OSError) as error:
        return _does_not_load("executorch", error)
    if runtime._is_available("XnnpackBackend"):
        return None
    return f"executorch {_version('executorch')} is built without its XNNPACK backend"


def executorch_runtime() -> Any:
    """ExecuTorch's native module; raises ImportError or OSError.

    Its public wrapper imports the whole exporter with it: 200 MB and seconds, which would be
    counted as the program's.
    """
    import_module("torch")  # whose libraries the module is linked against
    return import_module("executorch.extension.pybindings._portable_lib")


def torchao() -> str | None:
    """What quantizes exported graphs (PT2E), and what ExecuTorch's exporter is built on."""
    try:
        import_module("torchao.quantization.pt2e")
    except ModuleNotFoundError:
        return "torchao is not installed; pip install 'mobileopt[executorch]' brings it"
    except (ImportError, OSError) as error:
        return _does_not_load("torchao", error)
    return None


def _does_not_load(package: str, error: Exception) -> str:
    return (
        f"{package} {_version(package)} does not load beside torch {_torch()} "
        f"({_one_line(error)}); torch 2.12.1 and executorch 1.3.1 go together"
    )


def _torch() -> str:
    return str(import_module("torch").__version__)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of an unknown version"


def _one_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
