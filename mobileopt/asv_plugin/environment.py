"""An asv environment that lays each commit's project over the torch already installed.

asv's own environments install every requirement anew, 5 GB for torch, and build a wheel a
commit. Here a commit is checked out and put on PYTHONPATH before everything else: the folder
`repo_subdir` of it, or in that the folders that `import_paths` of asv.conf.json lists. What is
installed becomes part of the environment's name, so results of two versions never mix.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

from asv import util
from asv.environment import Environment, EnvironmentUnavailable

from mobileopt.conditions import PROJECT

MEASURED = ("torch", "torchvision")
"""The installed packages that decide what is measured."""


class Installed(Environment):
    """The running interpreter and its packages, with the project from a checkout."""

    tool_name = "installed"
    matches_python_fallback = False

    def __init__(
        self,
        conf: Any,
        python: str,
        requirements: dict[str, str],
        tagged_env_vars: dict[tuple[str, str], str],
    ) -> None:
        self._requirements = pin(requirements)  # asv's own __init__ reads it before it sets it
        super().__init__(conf, python, self._requirements, tagged_env_vars)
        self._import_paths = import_paths(conf)
        self._outside = _own_path(Path(conf.repo))

    @classmethod
    def matches(cls, python: str) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride] asv's base is inferred as always False
        """Whether `python` is the version that runs."""
        return python == f"{sys.version_info[0]}.{sys.version_info[1]}"

    def check_presence(self) -> bool:
        """Whether the folder for the checkout is there; there is nothing else to it."""
        return Path(self._path).is_dir()

    def _setup(self) -> None:
        Path(self._path).mkdir(parents=True)

    def _build_project(self, repo: Any, commit_hash: str, build_dir: str) -> None:
        """Nothing is built."""

    def _install_project(self, repo: Any, commit_hash: str, build_dir: str) -> None:
        """Nothing is installed: the checkout itself is imported."""

    def _uninstall_project(self) -> None:
        self._set_installed_commit_hash(None)

    def run(self, args: list[str], **kwargs: Any) -> Any:
        """Run Python with the checkout first on its path."""
        env = dict(kwargs.pop("env", os.environ)) | self._global_env_vars
        # The first reaches the processes that benchmarks start; without the second, asv's
        # runner takes the first out of sys.path again and finds the working tree instead.
        project = Path(self._build_root, self._repo_subdir)
        paths = [*(str(project / path) for path in self._import_paths), *self._outside]
        env |= dict.fromkeys(("PYTHONPATH", "ASV_PYTHONPATH"), os.pathsep.join(paths))
        env[PROJECT] = str(project)
        kwargs["timeout"] = kwargs.get("timeout") or self._install_timeout
        return util.check_output([sys.executable, *args], env=env, **kwargs)


def import_paths(conf: Any) -> list[str]:
    """The folders of a project that its modules are imported from, relative to it.

    Raises EnvironmentUnavailable unless they stay inside.
    """
    paths = getattr(conf, "import_paths", ["."])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise EnvironmentUnavailable(f"import_paths is {paths!r}, not a list of folders")
    for path in paths:
        if PurePath(path).is_absolute() or ".." in PurePath(path).parts or os.pathsep in path:
            raise EnvironmentUnavailable(f"import_paths names {path!r}, outside of the project")
    return paths or ["."]


def _own_path(repository: Path) -> list[str]:
    """Where mobileopt is imported from, if only PYTHONPATH says so and it is not the project."""
    here = Path(__file__).resolve().parents[2]
    found = [Path(p).resolve() for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    return [str(here)] if here in found and here != repository.resolve() else []


def pin(requirements: dict[str, str]) -> dict[str, str]:
    """The measured packages at their installed versions.

    Raises EnvironmentUnavailable for a requirement that the installed version does not meet.
    """
    installed = {name: _version(name) for name in (*MEASURED, *requirements)}
    for name, wanted in requirements.items():
        if wanted and wanted != installed[name]:
            raise EnvironmentUnavailable(
                f"{name} {wanted} is wanted and {installed[name]} is installed; "
                "install it, or use asv's virtualenv environment"
            )
    return installed


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError as error:
        raise EnvironmentUnavailable(f"{name} is not installed") from error
