"""`speed_benchmark_torch` as a phone would run it: its flags, its output, its ways to fail.

It really loads and times the model, with torch's own C++ loader and interpreter; the messages
of a failure are torch's. Only flag parsing and printing are written after the upstream
program. Installed as `speed_benchmark_torch_lite` it is the build of the lite interpreter. A
file `knobs.json` beside it makes it an old version, one without a quantized engine, or one
that crashes when it ends.
"""

import json
import os
import re
import sys
import time
import warnings
from pathlib import Path
from typing import NoReturn

FLAGS = {
    "model": "",
    "input_dims": "",
    "input_type": "",
    "input_memory_format": "contiguous_format",
    "no_inputs": False,
    "use_bundled_input": -1,
    "warmup": 0,
    "iter": 10,
    "report_pep": True,
    "use_caching_allocator": False,
    "vulkan": False,
    "print_output": False,
    "pthreadpool_size": 0,
}


def flags(arguments):
    """c10's parsing: --flag=value or --flag value, and garbage for a number is zero."""
    values = dict(FLAGS)
    words = iter(arguments)
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")
        if name not in FLAGS:
            print(f"C10 flag: unrecognized commandline argument: {word}", file=sys.stderr)
            sys.exit(1)
        if not equals:
            value = next(words, None)
            if value is None or value.startswith("--"):
                print(f"C10 flag: expecting a value for {name}", file=sys.stderr)
                sys.exit(1)
        values[name] = convert(FLAGS[name], value)
    return values


def convert(default, value):
    if isinstance(default, bool):
        return value.lower() in ("true", "1", "yes")
    if isinstance(default, int):
        found = re.match(r"-?\d+", value)
        return int(found[0]) if found else 0
    return value


def fail(message) -> NoReturn:
    """End as an uncaught c10::Error does: abort, which a shell reports as 134."""
    sys.stdout.flush()
    kind = "c10::Error"
    print(f"terminating with uncaught exception of type {kind}: {message}", file=sys.stderr)
    sys.stderr.flush()
    os.abort()


def as_in_cpp(message):
    """Python's wording of a wrong number of inputs, in that of C++."""
    return re.sub(
        r"forward\(\) expected at most (\d+) argument\(s\) but received (\d+) argument\(s\)",
        r"Expected at most \1 argument(s) for operator 'forward', but received \2 argument(s)",
        message,
    )


def inputs(torch, values):
    """One tensor of ones an input, as the flags say."""
    if values["no_inputs"]:
        return []
    dims = [each for each in values["input_dims"].split(";") if each]
    types = [each for each in values["input_type"].split(";") if each]
    formats = [each for each in values["input_memory_format"].split(";") if each]
    for other, word in ((formats, "format"), (types, "type")):
        if len(dims) != len(other):
            fail(f"{len(dims)} vs {len(other)}. Input dims and {word} should have the same number")
    tensors = []
    for dim, kind, layout in zip(dims, types, formats, strict=True):
        try:
            shape = [int(each) for each in dim.split(",")]
        except ValueError:
            fail("stoi")
        kinds = {"float": torch.float32, "uint8_t": torch.uint8, "int64": torch.int64}
        if kind not in kinds:
            fail(f"Unsupported input type: {kind}")
        ones = torch.ones(shape, dtype=kinds[kind])
        tensors.append(ones.contiguous(memory_format=getattr(torch, layout)))
    return tensors


def load(torch, path):
    """The model by torch's own loaders, which Python's wrapper would keep the errors of."""
    if Path(sys.argv[0]).name.endswith("_lite"):
        from torch.jit.mobile import LiteScriptModule

        return LiteScriptModule(torch._C._load_for_lite_interpreter(path, None))
    unit = torch._C.CompilationUnit()
    module = torch._C.import_ir_module(unit, path, None, {}, False)
    return torch.jit._recursive.wrap_cpp_module(module)


def run(torch, module, tensors, values, unit):
    for _ in range(values["warmup"]):
        module.forward(*tensors)
    print("Main runs.")
    times = []
    start = time.perf_counter()
    for _ in range(values["iter"]):
        begin = time.perf_counter()
        module.forward(*tensors)
        times.append(time.perf_counter() - begin)
    total = time.perf_counter() - start
    if values["report_pep"]:
        for each in times:
            print(
                'PyTorchObserver {"type": "NET", "unit": "us", "metric": "latency", '
                f'"value": "{int(each * unit)}"}}'
            )
    return total


def main():
    values = flags(sys.argv[1:])
    knobs = Path(sys.argv[0]).with_name("knobs.json")
    knobs = json.loads(knobs.read_text()) if knobs.exists() else {}
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(max(1, values["pthreadpool_size"]))
    torch.backends.quantized.engine = "qnnpack"  # the one of phones' builds
    if knobs.get("no_engine") and b"quantized" in Path(values["model"]).read_bytes():
        fail("Didn't find engine for operation quantized::conv2d_prepack NoQEngine")
    old = knobs.get("old", False)
    try:
        tensors = inputs(torch, values)
        with torch.no_grad():
            module = load(torch, values["model"])
            print("Starting benchmark.")
            print("Running warmup runs.")
            total = run(torch, module, tensors, values, 1e3 if old else 1e6)
    except RuntimeError as error:
        fail(as_in_cpp(str(error)))
    each = total * 1e3 / values["iter"] if values["iter"] else float("inf")
    told, name = (each, "Milliseconds") if old else (each * 1e3, "Microseconds")
    rate = 1e3 / each if each else float("inf")
    print(f"Main run finished. {name} per iter: {told:g}. Iters per second: {rate:g}")
    sys.stdout.flush()
    if knobs.get("crash"):
        os.kill(os.getpid(), 11)


if __name__ == "__main__":
    main()
