"""The files of an asv suite for a user's own models: what `mobileopt init` writes."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from mobileopt.conditions import ENVIRONMENT
from mobileopt.errors import InputError, OutputError
from mobileopt.suite import Model, Suite

_BENCHMARKS = {
    "latency": ("How long a forward pass takes.", {"time_forward": "latency"}),
    "size": ("How large the exported file is.", {"track_artifact": "size"}),
    "fidelity": (
        "How far an optimized model's answers are from the original's.",
        {"track_noise": "noise", "track_top1_disagreement": "top1_disagreement"},
    ),
    "memory": ("How much memory loading and one forward pass take.", {"peakmem_forward": "memory"}),
}


@dataclass(frozen=True)
class Project:
    """Where a suite goes: the project's name, its folder in the repository, its import paths.

    `repository` leads from the project's folder to the repository's, `subdir` back.
    """

    name: str
    repository: str = "."
    subdir: str = ""
    import_paths: Sequence[str] = (".",)


def files(project: Project, suite: Suite) -> dict[str, str]:
    """The text of each file by its path."""
    written = {
        "asv.conf.json": _configuration(project),
        "benchmarks/__init__.py": f'"""The airspeed velocity suite of {project.name}."""\n',
        "benchmarks/_suite.py": _suite(suite),
        ".asv/.gitignore": "# what asv works with and the site it makes; results/ is kept\n*\n",
    }
    for name, (sentence, benchmarks) in _BENCHMARKS.items():
        lines = [f"{function} = SUITE.{method}()" for function, method in benchmarks.items()]
        text = f'"""{sentence}"""\n\nfrom ._suite import SUITE\n\n'
        written[f"benchmarks/{name}.py"] = text + "\n".join(lines) + "\n"
    return written


def _configuration(project: Project) -> str:
    conditions = ",\n            ".join(
        f'"{name}": ["{ENVIRONMENT[name]}"]' for name in ENVIRONMENT
    )
    subdir = f'    "repo_subdir": {json.dumps(project.subdir)},\n' if project.subdir else ""
    return f"""{{
    // The models of this repository over its commits: `asv run`, `asv publish`, `asv preview`.
    "version": 1,
    "project": {json.dumps(project.name)},
    "repo": {json.dumps(project.repository)},
{subdir}    "branches": ["HEAD"],
    "dvcs": "git",

    // With the leading dot asv imports it; without one the name is silently ignored.
    "plugins": [".mobileopt.asv_plugin"],

    // Lays each commit over the torch that is installed: nothing is built or downloaded.
    // import_paths are the folders in it that its modules are imported from.
    "environment_type": "installed",
    "import_paths": {json.dumps(list(project.import_paths))},
    "matrix": {{
        // Another mobileopt measures otherwise, so its results stand apart.
        "req": {{"mobileopt": []}},
        // The conditions of every measurement: one thread, memory kept between passes.
        "env_nobuild": {{
            {conditions}
        }}
    }},

    "benchmark_dir": "benchmarks",
    "env_dir": ".asv/env",
    "results_dir": "results",
    "html_dir": ".asv/html",
    "default_benchmark_timeout": 1200
}}
"""


def _suite(suite: Suite) -> str:
    return (
        '"""What is measured. asv finds results by position, so only append to these lists."""'
        "\n\nfrom mobileopt.suite import Model, Suite\n\nMODELS = [\n"
        + "".join(map(_model, suite.models))
        + "]\n\nRECIPES = [\n"
        + "".join(f"    {_text(recipe)},\n" for recipe in suite.recipes)
        + "]\n\nSUITE = Suite(MODELS, RECIPES)\n"
    )


def _model(model: Model) -> str:
    lines = ["    Model(\n"]
    for field in fields(model):
        value = getattr(model, field.name)
        if value:
            shown = _text(value) if isinstance(value, str) else f"[{', '.join(map(_text, value))}]"
            lines.append(f"        {field.name}={shown},\n")
    return "".join([*lines, "    ),\n"])


def _text(value: str) -> str:
    """A Python string of any text, in double quotes: JSON's escapes are Python's too."""
    return json.dumps(value)


def write(texts: Mapping[str, str], folder: Path, *, force: bool = False) -> None:
    """Write all files into `folder`, or none of them.

    Raises InputError when one exists and `force` is not said, and OutputError when one cannot
    be written; whatever was there is then as it was.
    """
    existing = [path for path in texts if (folder / path).exists() or (folder / path).is_symlink()]
    if existing and not force:
        raise InputError(
            f"{', '.join(existing)} {'exists' if len(existing) == 1 else 'exist'} already; "
            "--force replaces what this command writes and leaves everything else"
        )
    try:
        with tempfile.TemporaryDirectory(prefix=".mobileopt-init-", dir=folder) as stage:
            _write(texts, folder, Path(stage))
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error


def _write(texts: Mapping[str, str], folder: Path, stage: Path) -> None:
    new, old = stage / "new", stage / "old"
    for path, text in texts.items():  # a full disk shows here, before anything is touched
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        (new / path).write_text(text, encoding="utf-8")
    done: list[str] = []
    made: list[Path] = []
    try:
        for path in texts:
            made += _make_folders((folder / path).parent)
            done.append(path)
            if (folder / path).exists():
                (old / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).rename(old / path)
            (new / path).rename(folder / path)
    except BaseException:
        _undo(done, made, folder, old)
        raise


def _make_folders(folder: Path) -> list[Path]:
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _undo(done: Sequence[str], made: Sequence[Path], folder: Path, old: Path) -> None:
    for path in done:
        if (old / path).exists():
            (old / path).replace(folder / path)
        elif not (folder / path).is_dir():
            (folder / path).unlink(missing_ok=True)
    for each in made:
        shutil.rmtree(each, ignore_errors=True)
