import ast
import json
import re
import resource

import pytest

from mobileopt import scaffold
from mobileopt.conditions import ENVIRONMENT
from mobileopt.errors import InputError, OutputError
from mobileopt.scaffold import Project
from mobileopt.suite import Model, Suite

MODELS = [
    Model("small", "nets:make", ["1,3,8,8"], weights='a "b".pt'),
    Model("ranker", "nets:Ranker", ["1,16:int64:100", "1,16"], calibration="nets:batches"),
]
RECIPES = ["unfused-float-nchw-eager", "fx-float-nhwc-mobile"]


def texts(**options):
    return scaffold.files(Project("my nets", **options), Suite(MODELS, RECIPES))


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_suite_that_is_written_is_the_one_that_was_asked_for():
    names = {}
    exec(texts()["benchmarks/_suite.py"], names)
    assert names["SUITE"] == Suite(MODELS, RECIPES)


def test_every_python_file_is_whole_and_says_what_it_is():
    for path, text in texts().items():
        if path.endswith(".py"):
            assert ast.get_docstring(ast.parse(text))


def test_the_configuration_names_our_plugin_and_the_conditions_of_every_measurement():
    text = texts(repository="..", subdir="ml", import_paths=["src"])["asv.conf.json"]
    conf = json.loads(re.sub(r"^ *//.*$", "", text, flags=re.MULTILINE))
    assert conf["project"] == "my nets"
    assert conf["plugins"] == [".mobileopt.asv_plugin"]
    assert (conf["repo"], conf["repo_subdir"], conf["import_paths"]) == ("..", "ml", ["src"])
    assert conf["matrix"]["env_nobuild"] == {name: [value] for name, value in ENVIRONMENT.items()}


def test_a_hostile_name_of_a_project_stays_a_string():
    text = scaffold.files(Project('"], "plugins": ["x'), Suite(MODELS, RECIPES))["asv.conf.json"]
    conf = json.loads(re.sub(r"^ *//.*$", "", text, flags=re.MULTILINE))
    assert conf["plugins"] == [".mobileopt.asv_plugin"]


def test_all_files_are_written_and_nothing_else(tmp_path):
    scaffold.write(texts(), tmp_path)
    assert contents(tmp_path) == texts()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".asv", "asv.conf.json", "benchmarks"
    ]  # fmt: skip


def test_a_file_that_exists_is_never_replaced_without_force(tmp_path):
    (tmp_path / "asv.conf.json").write_text("mine")
    with pytest.raises(InputError, match=r"^asv\.conf\.json exists already; --force"):
        scaffold.write(texts(), tmp_path)
    assert contents(tmp_path) == {"asv.conf.json": "mine"}


def test_force_replaces_what_is_ours_and_leaves_the_rest(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "asv.conf.json").write_text("old")
    (tmp_path / "benchmarks" / "mine.py").write_text("mine")
    scaffold.write(texts(), tmp_path, force=True)
    assert contents(tmp_path) == texts() | {"benchmarks/mine.py": "mine"}


def test_a_write_that_fails_half_way_leaves_everything_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "asv.conf.json").write_text("old")
    (tmp_path / "benchmarks").write_text("a file where the folder goes")
    with pytest.raises(OutputError, match="cannot write to"):
        scaffold.write(texts(), tmp_path, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asv.conf.json", "benchmarks"]
    assert (tmp_path / "asv.conf.json").read_text() == "old"


def test_a_full_disk_leaves_no_trace(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OutputError, match="cannot write to"):
            scaffold.write(texts(), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
