from __future__ import annotations

from pathlib import Path

import pytest

from .upstream import clone, make_ndk, make_upstream


@pytest.fixture(autouse=True)
def _git_may_clone_folders(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submodules of a folder on this disk need git's leave; nothing of the user's is read."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text('[protocol "file"]\n\tallow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("ANDROID_NDK", "ANDROID_NDK_HOME", "ANDROID_NDK_ROOT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_upstream(tmp_path_factory.mktemp("upstream"))


@pytest.fixture
def checkout(upstream: Path, tmp_path: Path) -> Path:
    return clone(upstream, tmp_path / "py torch")


@pytest.fixture
def ndk(tmp_path: Path) -> Path:
    return make_ndk(tmp_path / "an ndk")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "the cache"
