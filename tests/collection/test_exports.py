from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
import site_store
from filelock import FileLock

from mobileopt.collection.exports import Exports, prune, resolve
from mobileopt.errors import InputError, MeasurementError, OutputError
from mobileopt.variant import Recipe

ONE, TWO = (Recipe.parse(f"{word}-float-nchw-mobile") for word in ("unfused", "fused"))
NEW = Recipe.parse("tomorrow-float-nchw-mobile")

# What an old commit's `python -m mobileopt export` does, as far as this side can see.
EXPORT = """
import hashlib, json, pathlib, sys, time
argv = sys.argv[2:]
model, out = argv[-1], pathlib.Path(argv[argv.index("-o") + 1])
with open({log!r}, "a") as log: log.write(" ".join(argv) + "\\n")
recipes = [each.partition("=")[2] for each in argv if each.startswith("--recipe=")]
if model == "unborn": sys.exit("mobileopt: unknown model 'unborn'. Known: mlp")
if model == "chatty": print("Downloading weights ...", flush=True)
if model == "slow": time.sleep(60)
if model == "silent": recipes = ["unfused-float-nhwc-mobile"]
if any("tomorrow" in each for each in recipes): sys.exit("mobileopt: unknown fusion 'tomorrow'")
for recipe in recipes:
    if recipe == "unfused-float-nhwc-mobile":
        print(json.dumps(dict(recipe=recipe, refused="has no NHWC")), flush=True)
        continue
    folder = out / model / recipe
    folder.mkdir(parents=True)
    data = {data!r}.encode()
    (folder / "m.pt").write_bytes(data)
    manifest = dict(schema=1, variant=f"{{model}}/{{recipe}}", file="m.pt", size=len(data),
        sha256=hashlib.sha256(data).hexdigest(), inputs=[], engine=None, weights="seeded",
        calibration=None, left={{}}, versions={{}},
        fidelity=dict(noise=0.0, top1_agreement=1.0, max_relative_error=0.0, inputs=1))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    print(json.dumps(dict(recipe=recipe, folder=str(folder))), flush=True)
"""


@pytest.fixture
def lab(tmp_path) -> tuple[Path, Path]:
    """A repository of two commits, each with an export of its own, and their log."""
    repository, log = tmp_path / "repo", tmp_path / "log"
    (repository / "mobileopt").mkdir(parents=True)
    (repository / "mobileopt/__init__.py").touch()
    site_store.git(repository, "init", "-q", "-b", "main")
    for data in ("old", "new"):
        text = EXPORT.format(log=str(log), data=data)
        (repository / "mobileopt/__main__.py").write_text(text)
        site_store.git(repository, "add", "-A")
        site_store.git(repository, "commit", "-q", "-m", data)
    (repository / "mobileopt/__main__.py").write_text("raise SystemExit('the working tree')")
    return repository, log


def exports(lab, tmp_path, revision: str, **more: Any) -> Exports:
    commit = resolve(lab[0], revision)
    return Exports(tmp_path / "cache", lab[0], commit, {"torch": "2"}, **more)


def test_each_commit_is_exported_by_its_own_code(lab, tmp_path):
    for revision, data in (("HEAD", b"new"), ("HEAD~1", b"old")):
        made = exports(lab, tmp_path, revision).get("mlp", [ONE]).made
        assert made[ONE].path.read_bytes() == data
    assert site_store.git(lab[0], "worktree", "list").count("\n") == 1


def test_what_was_exported_is_not_exported_again_by_anybody(lab, tmp_path):
    exports(lab, tmp_path, "HEAD").get("mlp", [ONE])
    both = exports(lab, tmp_path, "HEAD").get("mlp", [ONE, TWO])
    assert set(both.made) == {ONE, TWO}
    calls = lab[1].read_text().splitlines()
    assert [call.count("--recipe") for call in calls] == [1, 1]
    assert f"--recipe={ONE}" not in calls[1]


def test_several_devices_share_one_export(lab, tmp_path):
    shared = exports(lab, tmp_path, "HEAD")
    threads = [threading.Thread(target=shared.get, args=("mlp", [ONE, TWO])) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(lab[1].read_text().splitlines()) == 1


def test_a_damaged_artifact_is_exported_again(lab, tmp_path):
    path = exports(lab, tmp_path, "HEAD").get("mlp", [ONE]).made[ONE].path
    path.write_bytes(b"cut")
    assert exports(lab, tmp_path, "HEAD").get("mlp", [ONE]).made[ONE].path.read_bytes() == b"new"


def test_a_refusal_is_kept_with_its_sentence(lab, tmp_path):
    nhwc = Recipe.parse("unfused-float-nhwc-mobile")
    for _ in range(2):
        told = exports(lab, tmp_path, "HEAD").get("mlp", [ONE, nhwc])
        assert told.refused == {nhwc: "has no NHWC"}
        assert set(told.made) == {ONE}
    assert len(lab[1].read_text().splitlines()) == 1


def test_a_word_the_commit_does_not_know_costs_that_recipe_alone(lab, tmp_path):
    told = exports(lab, tmp_path, "HEAD~1").get("mlp", [ONE, NEW])
    assert set(told.made) == {ONE}
    assert told.refused == {NEW: "unknown fusion 'tomorrow'"}


def test_a_model_the_commit_does_not_know_is_refused_at_once(lab, tmp_path):
    told = exports(lab, tmp_path, "HEAD~1").get("unborn", [ONE, TWO])
    assert set(told.refused) == {ONE, TWO}
    assert len(lab[1].read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("chatty", "answered 'Downloading weights"),
        ("slow", "longer than 0.3 s"),
        ("silent", f"not for {ONE}"),
    ],
)
def test_a_commit_that_answers_amiss_is_a_measurement_error(lab, tmp_path, model, says):
    seconds = 0.3 if model == "slow" else 60
    with pytest.raises(MeasurementError, match=re.escape(says)):
        exports(lab, tmp_path, "HEAD", seconds=seconds).get(model, [ONE])


@pytest.mark.timeout(50)
def test_an_export_under_way_ends_when_the_collection_is_stopped(lab, tmp_path):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(MeasurementError, match="was stopped"):
        exports(lab, tmp_path, "HEAD", stop=stop).get("slow", [ONE])


@pytest.fixture
def held(lab, tmp_path):
    """Another process that exports the same commit, for as long as the test takes."""
    folder = exports(lab, tmp_path, "HEAD").folder
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock", is_singleton=False):
        yield folder


def test_waiting_for_another_process_is_told_and_has_an_end(lab, tmp_path, held):
    told: list[str] = []
    with pytest.raises(OutputError, match=re.escape(str(held / ".lock"))):
        exports(lab, tmp_path, "HEAD", seconds=0.1).get("mlp", [ONE], told.append)
    assert told == ["waits for another process that exports this commit"]


@pytest.mark.timeout(50)
def test_waiting_for_another_process_ends_when_the_collection_is_stopped(lab, tmp_path, held):
    stop = threading.Event()
    with pytest.raises(MeasurementError, match="was stopped"):
        exports(lab, tmp_path, "HEAD", stop=stop).get("mlp", [ONE], lambda _: stop.set())


@pytest.mark.parametrize("revision", ["nothing", "--all", "HEAD; reboot", "$(id)", "../x", ""])
def test_what_names_no_commit_is_one_sentence(lab, revision):
    with pytest.raises(InputError, match="git says of"):
        resolve(lab[0], revision)


def test_only_the_commits_used_last_stay_in_the_cache(tmp_path):
    import os

    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        os.utime(folder, (number, number))
    prune(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4", "5"]
