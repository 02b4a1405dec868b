import json
from dataclasses import replace
from pathlib import Path

import pytest

from mobileopt import artifact
from mobileopt.artifact import Artifact, Delegation, Fidelity, Input
from mobileopt.errors import ArtifactError
from mobileopt.variant import Variant


def make(folder: Path) -> Artifact:
    (folder / "model.pt").write_bytes(b"weights")
    return Artifact(
        variant=Variant.parse("mlp/fx-int8_x86-nchw-mobile"),
        file="model.pt",
        sha256=artifact.digest(folder / "model.pt"),
        size=7,
        inputs=(Input((1, 784), "float32", "contiguous_format"),),
        engine="x86",
        weights="seeded:0",
        calibration="synthetic:1000",
        fidelity=Fidelity(0.01, 1.0, 0.02, 16),
        left={"conv": "no int8 kernel"},
        versions={"torch": "2.12.1"},
        folder=folder,
    )


def change(folder: Path, **fields: object) -> None:
    path = folder / artifact.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_manifest_reads_back_as_it_was_written(tmp_path):
    made = make(tmp_path)
    artifact.write(made)
    assert artifact.read(tmp_path) == made


def test_what_was_delegated_reads_back_and_a_manifest_from_before_has_none(tmp_path):
    made = replace(make(tmp_path), delegation=Delegation(2, 7, {"aten.cumsum.default": 1}))
    artifact.write(made)
    assert artifact.read(tmp_path) == made
    fields = json.loads((tmp_path / artifact.MANIFEST).read_text())
    del fields["delegation"]
    (tmp_path / artifact.MANIFEST).write_text(json.dumps(fields))
    assert artifact.read(tmp_path).delegation is None


def test_a_manifest_does_not_name_the_folder_it_lies_in(tmp_path):
    artifact.write(make(tmp_path))
    assert str(tmp_path) not in (tmp_path / artifact.MANIFEST).read_text()


def test_a_changed_model_file_is_refused(tmp_path):
    artifact.write(make(tmp_path))
    (tmp_path / "model.pt").write_bytes(b"weighty")
    with pytest.raises(ArtifactError, match="is not the file its manifest describes"):
        artifact.read(tmp_path)


def test_a_missing_model_file_is_named(tmp_path):
    artifact.write(make(tmp_path))
    (tmp_path / "model.pt").unlink()
    with pytest.raises(ArtifactError, match=r"model.pt is missing"):
        artifact.read(tmp_path)


@pytest.mark.parametrize("name", ["../model.pt", "/etc/passwd", "sub/model.pt"])
def test_a_manifest_that_names_a_file_elsewhere_is_refused(tmp_path, name):
    artifact.write(make(tmp_path))
    change(tmp_path, file=name)
    with pytest.raises(ArtifactError, match="not a file beside it"):
        artifact.read(tmp_path)


def test_a_link_in_place_of_the_model_is_refused(tmp_path):
    artifact.write(make(tmp_path))
    real = tmp_path / "elsewhere"
    (tmp_path / "model.pt").rename(real)
    (tmp_path / "model.pt").symlink_to(real)
    with pytest.raises(ArtifactError, match="not a file beside it"):
        artifact.read(tmp_path)


def test_a_manifest_of_another_schema_is_refused(tmp_path):
    artifact.write(make(tmp_path))
    change(tmp_path, schema=99)
    with pytest.raises(ArtifactError, match="is not a manifest of schema 1"):
        artifact.read(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 1}', "\x00"])
def test_a_garbled_manifest_is_refused_in_one_sentence(tmp_path, text):
    (tmp_path / artifact.MANIFEST).write_text(text)
    with pytest.raises(ArtifactError) as caught:
        artifact.read(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read as a manifest"):
        artifact.read(tmp_path)
