import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mobileopt.errors import InputError
from mobileopt.suite import Model, Suite

EAGER, MOBILE = "unfused-float-nchw-eager", "unfused-float-nchw-mobile"
NHWC = "unfused-float-nhwc-mobile"


def suite(make: str, *inputs: str, recipes=(EAGER, MOBILE, NHWC)) -> Suite:
    return Suite([Model("net", make, list(inputs))], list(recipes))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A commit's checkout, as the environment of asv names it."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("own_nets.py"), folder / "commit_nets.py")
    (folder / "commit_needs.py").write_text("import there_is_no_such_package")
    monkeypatch.setenv("MOBILEOPT_PROJECT", str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{Path(__file__).parents[1]}")
    monkeypatch.syspath_prepend(folder)
    out = tmp_path / "artifacts"
    out.mkdir()
    return str(out)


def test_a_benchmark_has_what_asv_reads_of_it():
    benchmark = suite("nets:make").latency()
    assert inspect.isfunction(benchmark)
    assert benchmark.__name__ == "time_forward"
    assert benchmark.params == [["net"], [EAGER, MOBILE, NHWC]]
    assert benchmark.param_names == ["model", "recipe"]
    assert (benchmark.number, benchmark.version) == (1, "1")


def test_the_names_are_those_that_the_variants_page_draws():
    from mobileopt.asv_plugin.variants import METRICS

    made = suite("nets:make")
    functions = [made.latency(), made.size(), made.noise(), made.top1_disagreement(), made.memory()]
    assert [f.__name__ for f in functions] == [name.split(".")[1] for name in METRICS.values()]


def test_no_method_of_a_suite_looks_like_a_benchmark_of_its_own():
    assert not [n for n in dir(Suite) if n.startswith(("time_", "track_", "peakmem_", "mem_"))]


def test_discovery_does_not_pay_for_torch():
    code = "import sys, mobileopt.suite; sys.exit('torch' in sys.modules)"
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


def test_the_benchmarks_measure_the_commits_model(project):
    made = suite("commit_nets:Ranker", "1,16:int64:100", "1,16")
    size, noise, latency, memory = made.size(), made.noise(), made.latency(), made.memory()
    size.setup(project, "net", MOBILE)
    assert size(project, "net", MOBILE) == made.artifact(project, "net", MOBILE).joinpath(
        "model.pt"
    ).stat().st_size  # fmt: skip
    assert noise(project, "net", EAGER) == 0
    assert made.top1_disagreement()(project, "net", EAGER) == 0
    latency.setup(project, "net", MOBILE)
    assert latency(project, "net", MOBILE)["score"].shape == (1, 4)
    assert memory(project, "net", MOBILE)["score"].shape == (1, 4)
    with pytest.raises(NotImplementedError, match="NHWC needs a 4-D input"):
        size.setup(project, "net", NHWC)


@pytest.mark.parametrize("make", ["no_such_nets:make", "commit_nets:nosuch", "later.pt2"])
def test_a_commit_without_the_model_is_not_applicable(make, project):
    benchmark = suite(make, "1,3,16,16").size()
    with pytest.raises(NotImplementedError, match=r"no_such_nets|nosuch|later"):
        benchmark.setup(project, "net", EAGER)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [("commit_nets:broken", "ValueError: no"), ("commit_needs:make", "there_is_no_such_package")],
)
def test_a_model_that_is_there_and_fails_is_a_failure(make, sentence, project):
    with pytest.raises(InputError, match=sentence):
        suite(make, "1,3,16,16").size().setup(project, "net", EAGER)


def test_names_that_would_relabel_history_are_refused():
    model = Model("net", "nets:make")
    with pytest.raises(InputError, match="model 'net' stands in the suite twice"):
        Suite([model, model], [EAGER])
    with pytest.raises(InputError, match="recipe 'unfused-float-nchw-eager' stands"):
        Suite([model], [EAGER, EAGER])
    with pytest.raises(InputError, match="lack unfused-float-nchw-eager"):
        Suite([model], [MOBILE])
    with pytest.raises(InputError, match="is not a name"):
        Model("../up", "nets:make")


def test_what_was_refused_is_kept_beside_the_artifacts(project):
    made = suite("commit_nets:Ranker", "1,16:int64:100", "1,16")
    made.artifact(project, "net", EAGER)
    assert list(json.loads((Path(project) / "net" / "refused.json").read_text())) == [NHWC]
