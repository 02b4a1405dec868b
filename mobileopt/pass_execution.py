"""Optimization passes applied and timed in this process, by the mobileopt on its path.

``python -P pass_execution.py MODEL PASS ...`` is run as a file, with an old commit's checkout as
PYTHONPATH: that commit's passes are timed by today's clockwork, also where the commit knows
nothing of this file. It speaks as `mobileopt.execution` does, and every request names its
``pass``. A pass is an optimization's word of a recipe (``fx``, ``int8_x86``), or ``torchscript``
or ``mobile`` for the backend's own.

With ``--count`` it only says how much each pass changes, a line of JSON each.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

# Nothing of mobileopt that an old commit may lack, and no torch before the arguments are read.

Apply = Callable[[], Any]


def _workshop(model: str) -> Any:
    import torch

    from mobileopt import build, network
    from mobileopt.torch_warnings import silence_known_warnings

    silence_known_warnings()
    torch.set_num_threads(1)
    workshop = build.Workshop(network.load(model))
    assert workshop.calibration  # made before the clock starts
    return workshop


def _apply(workshop: Any, name: str) -> Apply:
    from mobileopt import build, recipes

    module = workshop.network.module
    if name == "torchscript":
        return lambda: recipes.word("backend", name).load().script(module)
    if name == "mobile":
        return lambda: recipes.word("backend", name).load().optimize(module)
    word = next((each for each in recipes.WORDS if each.name == name), None)
    if word is None:
        raise ValueError(f"there is no pass {name} here")
    return lambda: build.apply_pass(workshop, word, module)


def _count(model: str, names: Sequence[str], answers: TextIO) -> None:
    workshop = _workshop(model)
    for name in names:
        try:
            result = _apply(workshop, name)()
            changed = len(getattr(result, "changed", ()))
            left = len(getattr(result, "left", ()))
            _say(answers, {"pass": name, "changed": changed, "left": left})
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".split("\n")[0]
            _say(answers, {"pass": name, "refused": reason})


def _serve(model: str, names: Sequence[str], answers: TextIO) -> None:
    workshop = _workshop(model)
    passes = {name: _apply(workshop, name) for name in names}
    for apply in passes.values():
        apply()  # the first call imports and compiles
        apply()
    _say(answers, {"ready": model, "warmup": [], "converged": True})
    for line in sys.stdin:
        request = json.loads(line)
        apply = passes[request["pass"]]
        times = [_timed(apply)]
        while len(times) < request["samples"] or sum(t[0] for t in times) < request["seconds"]:
            times.append(_timed(apply))
        _say(answers, {"wall": [wall for wall, _ in times], "cpu": [cpu for _, cpu in times]})


def _timed(apply: Apply) -> tuple[float, float]:
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    result = apply()
    wall_after, cpu_after = time.perf_counter_ns(), time.process_time_ns()
    del result  # freeing the module it made is no part of the pass
    return (wall_after - wall) / 1e9, (cpu_after - cpu) / 1e9


def _say(answers: TextIO, message: dict[str, object]) -> None:
    print(json.dumps(message), file=answers, flush=True)


def _main(first: str, *others: str) -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # a commit's pass, or a user's, may print
    if first == "--count":
        _count(others[0], others[1:], answers)
    else:
        _serve(first, others, answers)


if __name__ == "__main__":
    _main(*sys.argv[1:])
