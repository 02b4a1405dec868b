from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.android_build.cache import MANIFEST, Cache, Entry, Key, read
from mobileopt.artifact import digest
from mobileopt.errors import ArtifactError, BuildError, OutputError

KEY = Key("ba56102387ef" + "0" * 28, "v2.8.0", False, "21.1.1", "arm64-v8a", "lite", False, ())


def entry(binary: Path, key: Key = KEY) -> Entry:
    size = binary.stat().st_size
    built = "2026-01-02T03:04:05+00:00"
    versions = {"cmake": "3.27.1"}
    return Entry(key, digest(binary), size, "AArch64", built, 1.5, "a.log", versions, binary.parent)


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "built"
    path.write_bytes(b"\x7fELF program")
    return path


@pytest.fixture
def kept(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_what_is_put_is_found_whole_and_executable(kept, binary):
    put = kept.put(binary, entry(binary))
    found = kept.find(KEY)
    assert found == put
    assert found.path.read_bytes() == binary.read_bytes()
    assert found.path.name == "speed_benchmark_torch"
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o755


def test_an_empty_cache_finds_nothing_and_makes_nothing(kept):
    assert kept.find(KEY) is None
    assert kept.entries() == ()
    assert not kept.root.exists()


def test_a_binary_of_modified_sources_is_kept_but_never_found(kept, binary):
    key = replace(KEY, modified=True)
    kept.put(binary, entry(binary, key))
    assert kept.find(key) is None
    assert len(kept.entries()) == 1


def test_a_second_binary_of_a_key_takes_the_place_of_the_first(kept, binary):
    first = kept.put(binary, entry(binary))
    binary.write_bytes(b"\x7fELF another")
    second = kept.put(binary, entry(binary))
    assert kept.find(KEY) == second
    assert not first.path.exists()
    assert sorted(path.name for path in second.folder.iterdir()) == sorted(
        [MANIFEST, second.sha256[:12]]
    )


def test_a_writer_that_dies_before_the_manifest_leaves_the_first_binary(kept, binary, monkeypatch):
    first = kept.put(binary, entry(binary))
    binary.write_bytes(b"\x7fELF another")
    replacing = Path.replace

    def die(part: Path, target: Path) -> Path:
        if target.name == MANIFEST:
            raise KeyboardInterrupt
        return replacing(part, target)

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        kept.put(binary, entry(binary))
    monkeypatch.undo()
    assert kept.find(KEY) == first
    kept.put(binary, entry(binary))
    assert not list(kept.root.rglob(".part-*"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found.path.write_bytes(b"x"),
        lambda found: found.path.write_bytes(b"\x7fELF progrom"),
        lambda found: found.path.unlink(),
        lambda found: (found.path.unlink(), found.path.symlink_to("/bin/sh")),
        lambda found: (found.folder / MANIFEST).write_text("{"),
        lambda found: (found.folder / MANIFEST).write_text("[]"),
        lambda found: (found.folder / MANIFEST).write_bytes(b"\xff\xfe"),
    ],
)
def test_damage_is_told_and_listed(damage: Callable[[Entry], object], kept, binary):
    damage(kept.put(binary, entry(binary)))
    with pytest.raises(ArtifactError):
        kept.find(KEY)
    ((_, listed),) = kept.entries()
    assert isinstance(listed, ArtifactError)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("sha256", "../../../../etc/passwd"),
        ("sha256", None),
        ("log", "../../x"),
        ("size", "big"),
        ("size", float("inf")),
        ("built", "\x1b[2J"),
        ("built", 5),
        ("versions", []),
        ("key", {}),
        ("key", vars(KEY) | {"commit": 5}),
        ("key", vars(KEY) | {"tag": "../.."}),
        ("key", None),
    ],
)
def test_a_hostile_manifest_is_refused(field, value, kept, binary):
    folder = kept.put(binary, entry(binary)).folder
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {field: value}))
    with pytest.raises(ArtifactError, match="cannot be read as a manifest"):
        read(folder)


def test_a_folder_renamed_to_another_key_is_refused(kept, binary):
    put = kept.put(binary, entry(binary))
    other = replace(KEY, flavour="full")
    put.folder.rename(put.folder.with_name(other.name))
    with pytest.raises(ArtifactError, match="another key"):
        kept.find(other)


def test_a_commit_that_begins_like_another_is_not_taken_for_it(kept, binary):
    kept.put(binary, entry(binary))
    with pytest.raises(ArtifactError, match="another key"):
        kept.find(replace(KEY, commit=KEY.commit[:12] + "f" * 28))


def test_an_attempt_is_a_fresh_folder_and_removes_only_its_own_key_s_old_ones(kept):
    other = kept.attempt(replace(KEY, flavour="full"))
    old = kept.attempt(KEY)
    new = kept.attempt(KEY)
    assert new != old
    assert not old.exists()
    assert other.exists()


def test_a_lock_is_for_one_and_is_given_back(kept):
    second = Cache(kept.root).locked("a", "building a")
    with kept.locked("a", "building a"), pytest.raises(BuildError, match="is building a"):
        second.__enter__()
    with kept.locked("a", "building a"):
        pass


def test_an_error_inside_a_lock_is_not_taken_for_the_lock_s(kept):
    with pytest.raises(PermissionError), kept.locked("a", "building a"):
        raise PermissionError


def test_a_cache_inside_a_file_cannot_be_written(tmp_path, binary):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file")
    for write in (
        lambda: cache.put(binary, entry(binary)),
        lambda: cache.attempt(KEY),
        lambda: cache.locked("a", "x").__enter__(),
    ):
        with pytest.raises(OutputError, match="cannot be written: "):
            write()


def test_a_full_disk_leaves_the_first_binary(kept, binary, monkeypatch):
    first = kept.put(binary, entry(binary))
    binary.write_bytes(b"\x7fELF another")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        kept.put(binary, entry(binary))
    assert kept.find(KEY) == first


KEYS = st.builds(
    Key,
    commit=st.text("0123456789abcdef", min_size=40, max_size=40),
    tag=st.none() | st.sampled_from(["v2.8.0", "v2.8.0-rc1", "my_tag"]),
    modified=st.booleans(),
    ndk=st.sampled_from(["21.1.1", "21.4.7075529", "27.0.1-beta1"]),
    abi=st.sampled_from(["x86", "x86_64", "arm64-v8a"]),
    flavour=st.sampled_from(["full", "lite"]),
    vulkan=st.booleans(),
    defines=st.lists(st.sampled_from(["A=1", "B=2", "A=1B=2"]), unique=True).map(tuple),
)


@given(KEYS, KEYS)
def test_different_keys_have_different_names_and_each_is_one_component_of_a_path(one, other):
    assert (one == other) == (one.name == other.name)
    assert Path(one.name).name == one.name
    assert " " not in one.name
