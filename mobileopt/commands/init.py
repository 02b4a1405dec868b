"""Write an asv suite for your own models into your own git repository.

It benchmarks each commit with that commit's code. Nothing is installed, committed or overwritten.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobileopt import recipes, reference, scaffold
from mobileopt.commands import _model_arguments
from mobileopt.commits import git
from mobileopt.errors import InputError
from mobileopt.scaffold import Project
from mobileopt.suite import Model, Suite
from mobileopt.variant import BASELINE

HELP = "write an asv suite for your own models into your repository"
EXAMPLES = """examples:
  mobileopt init --model mynets:make --input 1,3,224,224
  mobileopt init --model mynets:small --input 1,3,96,96 --model mynets:Ranker \\
      --input 1,16:int64:30522 --input 1,16
  mobileopt init --model detector.pt2 --dry-run
"""
RECIPES = (
    str(BASELINE),
    "unfused-float-nchw-torchscript",
    "fx-float-nchw-torchscript",
    "unfused-float-nchw-mobile",
    "unfused-float-nhwc-mobile",
    "fused-float-nhwc-mobile",
    "fused-int8_qnnpack-nhwc-mobile",
    "fused-int8_x86-nhwc-mobile",
)
"""What a new suite measures unless told otherwise."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--model", action=_NextModel, required=True, dest="models",
        help="a factory as mynets:make or a program as net.pt2; repeatable, and the options of a "
        "model follow it",
    )  # fmt: skip
    _model_arguments.add_data(parser, action=_OfLastModel)
    parser.add_argument(
        "--recipe", action="append", metavar="RECIPE",
        help=f"what to measure; repeatable (without it {len(RECIPES)} common ones)",
    )  # fmt: skip
    parser.add_argument("--project", help="the project's name (the folder's without it)")
    parser.add_argument("--force", action="store_true", help="replace files of an earlier init")
    parser.add_argument("--dry-run", action="store_true", help="show the files, write nothing")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


class _NextModel(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        empty = dict.fromkeys(_model_arguments.DATA)
        one = argparse.Namespace(**empty | {"model": values, "input": []})
        namespace.models = [*(namespace.models or []), one]


class _OfLastModel(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        if not namespace.models:
            parser.error(f"{option} belongs to a model; say --model before it")
        model = namespace.models[-1]
        setattr(model, self.dest, [*model.input, values] if self.dest == "input" else values)


def run(arguments: argparse.Namespace) -> int:
    """Check everything, then write all files or none."""
    folder = Path.cwd()
    repository = _repository(folder)
    named = [str(recipes.parse(text)) for text in arguments.recipe or RECIPES]
    wanted = list(dict.fromkeys([str(BASELINE), *named]))
    suite = Suite([_model(each) for each in arguments.models], wanted)
    paths = [path for each in arguments.models for path in _tried(each, folder)]
    project = Project(
        name=arguments.project or repository.name,
        repository=str(Path(*[".."] * len(folder.relative_to(repository).parts))),
        subdir="" if folder == repository else folder.relative_to(repository).as_posix(),
        import_paths=list(dict.fromkeys(paths)) or ["."],
    )
    texts = scaffold.files(project, suite)
    if arguments.dry_run:
        _show(texts)
        return 0
    scaffold.write(texts, folder, force=arguments.force)
    _tell(texts, arguments)
    return 0


def _repository(folder: Path) -> Path:
    top = git(folder, "rev-parse", "--show-toplevel")
    if top.returncode:
        raise InputError(f"{folder} is in no git repository, and benchmarks belong to commits")
    root = Path(top.stdout.rstrip("\n"))
    if git(folder, "rev-parse", "--verify", "--quiet", "HEAD").returncode:
        raise InputError(
            f"the repository {root} has no commit yet, and benchmarks belong to commits"
        )
    return root


def _model(said: argparse.Namespace) -> Model:
    _model_arguments.check(said)
    return Model(
        reference.name(said.model, said.name),
        said.model,
        said.input,
        said.weights,
        said.calibration,
        said.evaluation,
    )


def _tried(said: argparse.Namespace, folder: Path) -> list[str]:
    """Load a model as the benchmarks will, and find the folder its module is imported from."""
    _model_arguments.workshop(said)
    if not reference.is_factory(said.model):
        _warn_uncommitted(folder / said.model)
        return []
    module = sys.modules[said.model.partition(":")[0]]
    file = Path(module.__file__ or "").resolve()
    if not file.is_relative_to(folder):
        print(
            f"mobileopt: warning: {said.model} comes from {file.parent}, outside of this folder; "
            "commits here will not change it",
            file=sys.stderr,
        )
        return []
    _warn_uncommitted(file)
    depth = module.__name__.count(".") + hasattr(module, "__path__")
    return [file.parents[depth].relative_to(folder).as_posix()]


def _warn_uncommitted(file: Path) -> None:
    if git(file.parent, "status", "--porcelain", "--ignored", "--", file.name).stdout:
        print(
            f"mobileopt: warning: {file.name} is not committed as it is now; asv measures commits",
            file=sys.stderr,
        )


def _show(texts: dict[str, str]) -> None:
    for path, text in texts.items():
        print(f"--- {path}\n{text}")


def _tell(texts: Sequence[str] | dict[str, str], arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps({"written": list(texts)}))
        return
    for path in texts:
        print(path)
    print(
        "\nNext:\n"
        "  git add asv.conf.json benchmarks && git commit -m 'Benchmark the models'\n"
        "  asv machine --yes\n"
        "  asv run HEAD^!                         the last commit; HEAD~3..HEAD for three\n"
        "  asv publish && asv preview             the site"
    )
