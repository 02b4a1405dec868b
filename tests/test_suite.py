"""The asv suite: its parameters, and what it exports."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import (
    _suite,
    fidelity,
    graph,
    instructions,
    latency,
    memory,
    memory_reuse,
    passes,
    size,
)
from mobileopt import models, recipes
from mobileopt.conditions import ENVIRONMENT, HOST, Memory
from mobileopt.variant import Recipe

ROOT = Path(__file__).parent.parent
FIRST_MODELS = ["annotated_conv_bn_relu", "mobilenet_v2", "resnet18", "mlp", "mobilenet_v3_large",
                "shufflenet_v2_x1_0", "squeezenet1_1", "efficientnet_b0"]  # fmt: skip
FIRST_RECIPES = 15


CONFIGURATIONS = ["asv.conf.json", "docs/examples/asv.torch-versions.conf.json"]


def configuration(path):
    from asv.config import Config

    return Config.load(str(ROOT / path))


def test_the_first_parameters_keep_their_places_because_results_are_stored_by_position():
    assert _suite.MODELS[: len(FIRST_MODELS)] == FIRST_MODELS
    assert _suite.RECIPES[0] == "unfused-float-nchw-eager"
    assert _suite.RECIPES[FIRST_RECIPES - 1] == "fused-int8_x86-nhwc-torchscript"


def test_what_make_bench_measures_is_part_of_what_is_tracked():
    assert set(_suite.QUICK_RECIPES) < set(_suite.RECIPES)
    assert len(set(_suite.RECIPES)) == len(_suite.RECIPES)
    backends = {Recipe.parse(text).backend for text in _suite.QUICK_RECIPES}
    assert backends == {"eager", "torchscript", "mobile", "executorch"}


def test_dynamic_int8_is_measured_where_linear_layers_are_the_work():
    recipe = "fused-int8_dynamic_x86-nchw-mobile"
    assert _suite.not_measured("mlp", recipe) is None
    assert "only mlp" in _suite.not_measured("resnet18", recipe)


def test_every_parameter_is_a_model_or_a_recipe_that_exists():
    assert set(_suite.MODELS) == set(models.names())
    for text in _suite.RECIPES:
        recipes.check(Recipe.parse(text))


def test_every_benchmark_has_an_explicit_version_and_every_track_a_unit():
    for module in (fidelity, graph, instructions, latency, memory, memory_reuse, passes, size):
        for name, function in vars(module).items():
            if name.startswith(("time_", "track_", "peakmem_")):
                assert function.version, name
                assert not name.startswith("track_") or function.unit, name


def test_discovery_imports_neither_torch_nor_mobileopt():
    program = (
        "import sys, time; import benchmarks.latency, benchmarks.memory, benchmarks.size,"
        "benchmarks.fidelity, benchmarks.passes, benchmarks.graph,"
        "benchmarks.instructions, benchmarks.memory_reuse;"
        "sys.exit('torch' in sys.modules or 'mobileopt' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize("path", CONFIGURATIONS)
def test_every_configuration_fixes_the_conditions_of_every_host_measurement(path):
    matrix = configuration(path).matrix["env_nobuild"]
    assert {name: values[0] for name, values in matrix.items()} == ENVIRONMENT
    assert all(len(values) == 1 for values in matrix.values())


def test_the_example_of_two_torch_versions_pairs_each_with_its_torchvision():
    from asv.environment import iter_matrix

    example = configuration(CONFIGURATIONS[1])
    pairs = {
        (each[("req", "torch")], each[("req", "torchvision")])
        for each in iter_matrix("virtualenv", ["3.11"], example)
    }
    assert pairs == {("2.12.1", "0.27.1"), ("2.13.0", "0.28.0")}
    assert (ROOT / "docs/examples" / example.benchmark_dir).resolve() == ROOT / "benchmarks"


def test_artifacts_are_exported_once_in_groups_and_the_rest_on_demand(tmp_path):
    folder = _suite.skip_or_export(str(tmp_path), "mlp", "unfused-float-nchw-mobile")
    assert (folder / "manifest.json").exists()
    made = (folder / "manifest.json").stat().st_mtime_ns
    time.sleep(0.01)
    other = _suite.skip_or_export(str(tmp_path), "mlp", "fused-float-nchw-mobile")
    assert other.exists()
    assert (folder / "manifest.json").stat().st_mtime_ns == made


def test_a_combination_left_out_by_design_is_not_applicable_and_says_why(tmp_path):
    with pytest.raises(NotImplementedError, match="2-D inputs"):
        _suite.skip_or_export(str(tmp_path), "mlp", "unfused-float-nhwc-mobile")
    with pytest.raises(NotImplementedError, match="only the core models"):
        _suite.skip_or_export(str(tmp_path), "squeezenet1_1", "fx-float-nchw-eager")


def test_what_this_torch_cannot_do_is_not_applicable_and_says_why(tmp_path):
    (tmp_path / "resnet18").mkdir()
    reason = {"unfused-float-nchw-mobile": "this torch is built without XNNPACK"}
    (tmp_path / "resnet18" / "quick.json").write_text(json.dumps(reason))
    with pytest.raises(NotImplementedError, match="without XNNPACK"):
        _suite.skip_or_export(str(tmp_path), "resnet18", "unfused-float-nchw-mobile")


def test_the_tracked_values_come_from_the_manifest(tmp_path):
    arguments = (str(tmp_path), "mlp", "fused-float-nchw-mobile")
    folder = tmp_path / "mlp" / arguments[2]
    folder.mkdir(parents=True)
    (tmp_path / "mlp" / "quick.json").write_text("{}")
    told = {"size": 7, "fidelity": {"noise": 0.5, "top1_agreement": 0.75}}
    (folder / "manifest.json").write_text(json.dumps(told))
    assert size.track_artifact(*arguments) == 7
    assert fidelity.track_noise(*arguments) == 0.5
    assert fidelity.track_top1_disagreement(*arguments) == 0.25


@pytest.mark.parametrize("name", _suite.OPTIMIZATIONS)
def test_every_optimization_of_the_passes_benchmark_applies(name):
    passes.setup("annotated_conv_bn_relu", name)
    passes.time_apply("annotated_conv_bn_relu", name)


@pytest.mark.slow
def test_the_counts_of_the_graph_are_what_inspect_says_and_equal_whenever_asked(tmp_path):
    asked = (str(tmp_path), "mlp", "unfused-float-nchw-torchscript")
    tracks = (graph.track_operator_calls, graph.track_layout_conversions,
              graph.track_allocations, graph.track_flops)  # fmt: skip
    graph.setup(*asked)
    first = [count(*asked) for count in tracks]
    (tmp_path / "mlp" / "inspected-quick.json").unlink()
    _suite.inspected.cache_clear()
    assert [count(*asked) for count in tracks] == first
    assert first[:2] == [7, 0]


def test_the_flops_of_a_packed_variant_are_not_applicable_and_say_why(tmp_path):
    (tmp_path / "mlp").mkdir()
    (tmp_path / "mlp" / "quick.json").write_text("{}")
    told = {"unfused-float-nchw-mobile": {"flops": None, "flops_unknown": "weights are packed"}}
    (tmp_path / "mlp" / "inspected-quick.json").write_text(json.dumps(told))
    with pytest.raises(NotImplementedError, match="weights are packed"):
        graph.track_flops.setup(str(tmp_path), "mlp", "unfused-float-nchw-mobile")


def test_what_cannot_run_here_is_not_inspected_and_says_why(tmp_path):
    (tmp_path / "mlp").mkdir()
    (tmp_path / "mlp" / "quick.json").write_text("{}")
    told = {"unfused-float-nchw-mobile": {"refused": "this torch lacks an engine"}}
    (tmp_path / "mlp" / "inspected-quick.json").write_text(json.dumps(told))
    with pytest.raises(NotImplementedError, match="lacks an engine"):
        graph.setup(str(tmp_path), "mlp", "unfused-float-nchw-mobile")


def test_what_is_measured_under_memory_conditions_is_of_the_suite_and_the_conditions_exist():
    assert set(_suite.MEMORY_MODELS) <= set(_suite.MODELS)
    assert set(_suite.MEMORY_RECIPES) <= set(_suite.RECIPES)
    for text in _suite.MEMORY_CONDITIONS:
        Memory.parse(text)
    assert _suite.MEMORY_CONDITIONS[0] == str(HOST)


@pytest.mark.slow
def test_a_memory_condition_is_measured_in_processes_of_its_own_and_once(tmp_path):
    asked = (str(tmp_path), "annotated_conv_bn_relu", "unfused-float-nhwc-mobile", "fresh-default")
    memory_reuse.setup(*asked)
    timed = memory_reuse.track_latency(*asked)
    assert timed["number"] == 1
    assert len(timed["samples"]) == 30
    assert memory_reuse.track_page_faults(*asked) >= 0
    usual = (*asked[:3], "reused-kept")
    assert memory_reuse.track_page_faults(*usual) == 0
    assert memory_reuse.track_allocations(*asked) == memory_reuse.track_allocations(*usual) + 1
    _suite.remembered.cache_clear()
    assert memory_reuse.track_latency(*asked) == timed


def test_what_is_counted_is_of_the_suites_models_and_recipes():
    assert set(_suite.COUNTED_MODELS) <= set(_suite.MODELS)
    assert set(_suite.COUNTED_RECIPES) <= set(_suite.RECIPES)
    assert _suite.COUNTED_RECIPES[0] == "unfused-float-nchw-eager"


def test_all_instructions_are_counted_at_once_and_without_those_that_are_not_applicable(
    tmp_path, monkeypatch
):
    left_out = ("annotated_conv_bn_relu", "fused-int8_x86-nhwc-mobile")
    asked = []

    def artifact(folder, model, recipe):
        if (model, recipe) == left_out:
            raise NotImplementedError("no such engine")
        return Path(folder) / model / recipe

    def count(folders):
        asked.append(folders)
        return list(range(len(folders)))

    monkeypatch.setattr(_suite, "skip_or_export", artifact)
    monkeypatch.setattr("mobileopt.metrics.instructions.missing", lambda: None)
    monkeypatch.setattr("mobileopt.metrics.instructions.count", count)
    combinations = [(m, r) for m in _suite.COUNTED_MODELS for r in _suite.COUNTED_RECIPES]
    combinations.remove(left_out)
    counts = [instructions.track_forward(str(tmp_path), *each) for each in combinations]
    assert counts == list(range(len(combinations)))
    assert len(asked) == 1
    with pytest.raises(NotImplementedError, match="no such engine"):
        instructions.setup(str(tmp_path), *left_out)


def test_without_valgrind_instructions_are_not_applicable_and_the_reason_names_its_package(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(_suite, "skip_or_export", lambda *_: tmp_path)
    monkeypatch.setattr("mobileopt.metrics.instructions.shutil.which", lambda name: None)
    with pytest.raises(NotImplementedError, match="Debian package: valgrind"):
        instructions.setup(str(tmp_path), "mobilenet_v2", "unfused-float-nchw-eager")
