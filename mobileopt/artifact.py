"""An exported model with its manifest: what crosses from the half that builds to the half
that measures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from mobileopt.errors import ArtifactError, MobileoptError
from mobileopt.variant import Variant

MANIFEST = "manifest.json"
SCHEMA = 1
SYNTHETIC = "synthetic:2000"
"""The inputs on which fidelity is judged unless the user brings some: seeded, not real."""


@dataclass(frozen=True)
class Input:
    """One input tensor of `forward`: its shape, `torch` dtype by name, and memory format."""

    shape: tuple[int, ...]
    dtype: str
    memory_format: str


@dataclass(frozen=True)
class Fidelity:
    """An artifact's outputs against the float NCHW eager model's, on the same inputs.

    `noise` is the root mean square of the error over that of the reference; its SQNR in
    decibels is ``-20 log10(noise)``. `top1_agreement` is a fraction of the inputs and
    `max_relative_error` is relative to the largest reference output. `source` says where the
    `inputs` it was judged on are from.
    """

    noise: float
    top1_agreement: float
    max_relative_error: float
    inputs: int
    source: str = SYNTHETIC


@dataclass(frozen=True)
class Delegation:
    """How much of a program its backend hands on to a delegate, as ExecuTorch's to XNNPACK.

    `partitions` is the number of delegated subgraphs, `delegated` of the operators in them, and
    `left` counts every operator outside, which the runtime's portable kernels run.
    """

    partitions: int
    delegated: int
    left: Mapping[str, int]


@dataclass(frozen=True)
class Artifact:
    """The manifest of one exported variant. `folder` is where it lies, not part of it."""

    variant: Variant
    file: str
    sha256: str
    size: int
    inputs: tuple[Input, ...]
    engine: str | None
    weights: str
    calibration: str | None
    fidelity: Fidelity
    left: Mapping[str, str]
    versions: Mapping[str, str]
    folder: Path
    delegation: Delegation | None = None

    @property
    def path(self) -> Path:
        """The model file."""
        return self.folder / self.file


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(artifact: Artifact) -> None:
    """Write the manifest into the artifact's folder."""
    fields = asdict(artifact) | {"schema": SCHEMA, "variant": str(artifact.variant)}
    del fields["folder"]
    text = json.dumps(fields, indent=2, sort_keys=True)
    (artifact.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Artifact:
    """Read a folder's manifest and check its file against it.

    Raises ArtifactError when the manifest is missing or malformed, when the file it names lies
    outside the folder, or when the file's size or digest is another.
    """
    artifact = _parse(folder, _manifest(folder))
    path = artifact.path
    if path.name != artifact.file or path.is_symlink():
        raise ArtifactError(f"{folder / MANIFEST} names {artifact.file!r}, not a file beside it")
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; {folder / MANIFEST} names it")
    if path.stat().st_size != artifact.size or digest(path) != artifact.sha256:
        raise ArtifactError(f"{path} is not the file its manifest describes; export it again")
    return artifact


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        fields: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read as a manifest: {error}") from error
    if isinstance(fields, dict):
        manifest = cast(dict[str, Any], fields)
        if manifest.get("schema") == SCHEMA:
            return manifest
    raise ArtifactError(f"{path} is not a manifest of schema {SCHEMA}")


def _parse(folder: Path, fields: dict[str, Any]) -> Artifact:
    try:
        return Artifact(
            variant=Variant.parse(fields["variant"]),
            file=str(fields["file"]),
            sha256=str(fields["sha256"]),
            size=int(fields["size"]),
            inputs=tuple(
                Input(tuple(int(n) for n in each["shape"]), each["dtype"], each["memory_format"])
                for each in fields["inputs"]
            ),
            engine=fields["engine"],
            weights=str(fields["weights"]),
            calibration=fields["calibration"],
            fidelity=Fidelity(**fields["fidelity"]),
            left=dict(fields["left"]),
            versions=dict(fields["versions"]),
            folder=folder,
            delegation=_delegation(fields.get("delegation")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, MobileoptError) as error:
        raise ArtifactError(
            f"{folder / MANIFEST} lacks or garbles what a manifest holds: {error!r}"
        ) from error


def _delegation(fields: Mapping[str, Any] | None) -> Delegation | None:
    return None if fields is None else Delegation(**fields)
