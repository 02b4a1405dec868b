"""Capture what `speed_benchmark_torch` prints on a loopback phone, for `tests/data/`.

    python -m tests.loopback.capture tests/data/speed_benchmark_torch

Each file holds the exit code and both streams; the messages of failures are torch's own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from mobileopt.adb import WORK, Phone, Server, files
from tests.loopback.adbd import Adbd
from tests.loopback.models import make
from tests.loopback.root import Root
from tests.loopback.server import adb_server

PROGRAM = Path(__file__).with_name("speed_benchmark_torch.py")
ONE = ("--input_dims=1,3,8,8", "--input_type=float", "--input_memory_format=contiguous_format")
TWO = (
    "--input_dims=1,3,8,8;1",
    "--input_type=float;float",
    "--input_memory_format=contiguous_format;contiguous_format",
)
RUN = ("--warmup=1", "--iter=4", "--pthreadpool_size=1", "--report_pep=true")
FULL, LITE = "speed_benchmark_torch", "speed_benchmark_torch_lite"

CASES: dict[str, tuple[str, str, tuple[str, ...], dict[str, bool]]] = {
    "success": (FULL, "conv.pt", (*ONE, *RUN), {}),
    "success_lite": (LITE, "conv.ptl", (*ONE, *RUN), {}),
    "success_old": (FULL, "conv.pt", ("--input_dims=1,3,900,900", *ONE[1:], *RUN), {"old": True}),
    "too_fast_for_old": (FULL, "conv.pt", (*ONE, *RUN), {"old": True}),
    "success_then_crash": (FULL, "conv.pt", (*ONE, *RUN), {"crash": True}),
    "no_iterations": (FULL, "conv.pt", (*ONE, "--iter=abc"), {}),
    "missing_model": (FULL, "none.pt", ONE, {}),
    "damaged_model": (FULL, "cut.pt", ONE, {}),
    "empty_model": (FULL, "empty.pt", ONE, {}),
    "not_lite": (LITE, "conv.pt", ONE, {}),
    "wrong_inputs_dims": (FULL, "conv.pt", ("--input_dims=1,4,8,8", *ONE[1:]), {}),
    "wrong_inputs_type": (FULL, "conv.pt", (ONE[0], "--input_type=int64", ONE[2]), {}),
    "wrong_inputs_lite": (LITE, "conv.ptl", ("--input_dims=1,4,8,8", *ONE[1:]), {}),
    "wrong_input_count": (FULL, "conv.pt", TWO, {}),
    "missing_input_flag_dims": (FULL, "conv.pt", ONE[1:], {}),
    "missing_input_flag_type": (FULL, "conv.pt", (ONE[0], ONE[2]), {}),
    "bad_type": (FULL, "conv.pt", (ONE[0], "--input_type=float32", ONE[2]), {}),
    "bad_dims": (FULL, "conv.pt", ("--input_dims=x", *ONE[1:]), {}),
    "unknown_flag": (FULL, "conv.pt", ("--bogus=1",), {}),
    "flag_without_value": (FULL, "conv.pt", (*ONE, "--report_pep"), {}),
    "missing_engine": (FULL, "quantized.pt", ONE, {"no_engine": True}),
}


def main(out: Path) -> None:
    """Run every case and write it."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, adb_server(Path(folder)) as port:
        adbd = Adbd(Root(Path(folder) / "phone", "CAPTURE"))
        adbd.root.install(PROGRAM, FULL)
        adbd.root.install(PROGRAM, LITE)
        phone = Server("127.0.0.1", port).connect(adbd.address)
        make(Path(folder) / "models")
        for model in (Path(folder) / "models").iterdir():
            files.push(phone, model, f"{WORK}/{model.name}")
        for name, case in CASES.items():
            (out / f"{name}.txt").write_text(_run(phone, adbd.root, *case), encoding="utf-8")


def _run(phone: Phone, root: Root, program: str, model: str, flags, knobs) -> str:
    root.write(f"{WORK}/knobs.json", json.dumps(knobs))
    argv = [f"{WORK}/{program}", f"--model={WORK}/{model}", *flags]
    result = phone.shell(argv, 120)
    text = f"exit {result.code}\n--- stdout\n{result.stdout}--- stderr\n{result.stderr}"
    return text.replace(sys.prefix, "")  # where this host keeps torch is nobody's business


if __name__ == "__main__":
    main(Path(sys.argv[1]))
