from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import site_store
from filelock import FileLock

from tools import publish


@pytest.fixture
def project(tmp_path: Path) -> site_store.Project:
    return site_store.build(tmp_path / "lab")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def assert_refused(done, sentence: str) -> None:
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_the_site_is_put_where_the_configuration_says(project: site_store.Project):
    done = project.run("tools.publish")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(project.html / "index.html")
    assert (project.html / "mobileopt" / "variants.json").is_file()
    assert [path.name for path in project.html.parent.iterdir() if ".new-" in path.name] == []


def test_another_folder_can_be_chosen(project: site_store.Project):
    done = project.run("tools.publish", "--html", "public/site", "--json")
    told = json.loads(done.stdout)
    assert told["html"] == str(project.folder / "public" / "site")
    assert told["warnings"] == []
    assert (project.folder / "public" / "site" / "index.html").is_file()
    assert not project.html.exists()


def test_a_branch_that_is_ahead_of_the_checkout_can_be_published(project: site_store.Project):
    path = project.folder / "asv.conf.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"branches": ["HEAD"]}))
    site_store.git(project.folder, "update-ref", "refs/remotes/origin/main", project.commits[-1])
    site_store.git(project.folder, "checkout", "-q", "--detach", project.commits[0])
    site_store.git(project.folder, "branch", "-D", "-q", "main")
    program = (
        "from pathlib import Path; from rich.console import Console; "
        "from tools.publish import publish; "
        "print(publish(Path('asv.conf.json'), None, False, Console(), '{}')[1])"
    )
    old = project.run("timeit", "-n1", "-r1", program.format("HEAD"))
    assert "Couldn't find" in old.stdout.splitlines()[0]
    done = project.run("timeit", "-n1", "-r1", program.format("origin/main"))
    assert done.stdout.startswith("[]\n"), done.stdout + done.stderr


def test_a_failed_publish_leaves_the_old_site_as_it_was(project: site_store.Project):
    assert project.run("tools.publish").returncode == 0
    before = contents(project.html)
    (project.folder / "results" / "benchmarks.json").write_text('{"version": 2, "cut')
    assert_refused(project.run("tools.publish"), "the store cannot be published")
    assert contents(project.html) == before
    assert [path.name for path in project.html.parent.iterdir() if ".new-" in path.name] == []


def test_a_benchmark_list_that_contradicts_itself_is_named(project: site_store.Project):
    path = project.folder / "results" / "benchmarks.json"
    benchmarks = json.loads(path.read_text())
    benchmarks["size.track_artifact"]["params"] = [["1"]]
    path.write_text(json.dumps(benchmarks))
    assert_refused(project.run("tools.publish"), "size.track_artifact is malformed")


def test_two_publishes_at_once_do_not_meet(project: site_store.Project):
    project.html.parent.mkdir()
    with FileLock(project.html.parent / ".html.lock"):
        assert_refused(project.run("tools.publish"), "being published by another process")


@pytest.mark.parametrize("name", ["notes", "file"])
def test_a_folder_that_is_no_site_is_never_replaced(project: site_store.Project, name: str):
    precious = project.folder / "notes" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    (project.folder / "file").write_text("")
    done = project.run("tools.publish", "--html", name)
    assert done.returncode == 2
    assert precious.read_text() == "years of work"


def test_the_folder_of_the_project_itself_is_never_replaced(project: site_store.Project):
    assert_refused(project.run("tools.publish", "--html", "."), "holds something else")
    assert (project.folder / "asv.conf.json").is_file()


def test_a_missing_configuration_is_named(project: site_store.Project):
    assert_refused(project.run("tools.publish", "--config", "other.json"), "other.json does not")


def test_a_configuration_that_is_not_json_is_named(project: site_store.Project):
    (project.folder / "asv.conf.json").write_text("{nonsense")
    assert_refused(project.run("tools.publish"), "cannot be read as asv's configuration")


def test_a_plugin_without_its_leading_dot_is_an_error_not_a_site_without_pages(tmp_path: Path):
    project = site_store.build(tmp_path / "lab", plugins=("mobileopt.asv_plugin",))
    assert_refused(project.run("tools.publish"), '".mobileopt.asv_plugin", with the leading dot')


def test_a_plugin_that_does_not_exist_is_named(tmp_path: Path):
    project = site_store.build(tmp_path / "lab", plugins=(".mobileopt.asv_plugin", ".no_such"))
    assert_refused(project.run("tools.publish"), "names the plugin '.no_such'")


def test_what_a_killed_publish_left_is_cleared_away(project: site_store.Project):
    left = project.html.parent / ".html.new-killed"
    left.mkdir(parents=True)
    (left / "index.html").write_text("half")
    assert project.run("tools.publish").returncode == 0
    assert not left.exists()


def test_a_link_to_the_site_stays_a_link(project: site_store.Project):
    real = project.folder / "real"
    real.mkdir()
    project.html.parent.mkdir()
    project.html.symlink_to(real)
    assert project.run("tools.publish").returncode == 0
    assert project.html.is_symlink()
    assert (real / "index.html").is_file()


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_new_site_takes_the_old_ones_place_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
):
    if not can_exchange:
        monkeypatch.setattr(publish, "_exchange", lambda one, other: False)
    old, new = tmp_path / "html", tmp_path / ".html.new-x"
    for folder, text in ((old, "old"), (new, "new")):
        folder.mkdir()
        (folder / "index.html").write_text(text)
    publish._put_in_place(new, old)
    assert contents(old) == {"index.html": b"new"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(project: site_store.Project):
    closed = project.folder / "closed"
    closed.mkdir(mode=0o500)
    assert_refused(project.run("tools.publish", "--html", "closed/site"), "cannot be written")


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        publish.main(["--help"])
    assert left.value.code == 0
    assert "python -m tools.publish --html public" in capsys.readouterr().out
