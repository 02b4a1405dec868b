"""Small TorchScript models, whole and broken, for phones to run."""

from __future__ import annotations

import warnings
from pathlib import Path


def make(folder: Path) -> None:
    """Write conv.pt, conv.ptl and quantized.pt, and an empty and a cut one."""
    import torch
    from torch import nn
    from torch.ao import quantization

    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()).eval()
        scripted = torch.jit.script(net)
        scripted.save(folder / "conv.pt")
        scripted._save_for_lite_interpreter(str(folder / "conv.ptl"))
        before = torch.backends.quantized.engine
        torch.backends.quantized.engine = "qnnpack"
        stubs = (quantization.QuantStub(), quantization.DeQuantStub())
        quantized = nn.Sequential(stubs[0], nn.Conv2d(3, 8, 3), stubs[1]).eval()
        # nn.Module's stubs do not know the attribute that quantization reads
        quantized.qconfig = quantization.get_default_qconfig("qnnpack")  # pyright: ignore
        quantization.prepare(quantized, inplace=True)
        quantized(torch.ones(1, 3, 8, 8))
        quantization.convert(quantized, inplace=True)
        torch.jit.script(quantized).save(folder / "quantized.pt")
        torch.backends.quantized.engine = before
    whole = (folder / "conv.pt").read_bytes()
    (folder / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.pt").touch()
