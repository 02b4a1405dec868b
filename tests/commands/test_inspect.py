import json

import pytest

from mobileopt.__main__ import main


def inspect(capsys, *arguments):
    code = main(["inspect", *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_variant_is_exported_and_its_counts_are_told_in_json(capsys):
    code, out, _ = inspect(capsys, "mlp/unfused-float-nchw-eager", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["variant"] == "mlp/unfused-float-nchw-eager"
    assert told["operators"] == {"aten::linear": 4, "aten::relu_": 3}
    assert told["operator_calls"] == 7
    weights = 784 * 1024 + 1024 * 1024 * 2 + 1024 * 10
    assert told["flops"] == 2 * weights


def test_an_artifact_and_a_variant_stand_in_one_table(capsys, tmp_path):
    recipe = "unfused-float-nchw-mobile"
    assert main(["export", "mlp", "--recipe", recipe, "-o", str(tmp_path)]) == 0
    code, out, _ = inspect(capsys, str(tmp_path / "mlp" / recipe), "mlp/fx-float-nchw-torchscript")
    assert code == 0
    assert "prepacked::linear_clamp_run" in out
    assert "aten::linear" in out
    assert "n/a: packed weights hide their shapes" in out


def test_a_variant_the_model_cannot_have_is_refused_and_the_others_are_told(capsys):
    code, out, err = inspect(
        capsys, "mlp/fx-float-nhwc-mobile", "mlp/unfused-float-nchw-eager", "--json"
    )
    assert code == 2
    refused, told = map(json.loads, out.splitlines())
    assert "NHWC needs a 4-D input" in refused["refused"]
    assert told["layout_conversions"] == 0
    code, _, err = inspect(capsys, "mlp/fx-float-nhwc-mobile")
    assert code == 2
    assert "NHWC needs a 4-D input" in err


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("no/such/folder", "neither an artifact's folder nor MODEL/RECIPE"),
        ("mlp", "neither an artifact's folder nor MODEL/RECIPE"),
        ("mlq/unfused-float-nchw-eager", "did you mean 'mlp'"),
        ("mlp/unfused-float-nchw-tpu", "unknown backend 'tpu'"),
    ],
)
def test_a_wrong_target_is_one_sentence_before_anything_is_built(target, sentence, capsys):
    code, out, err = inspect(capsys, target)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
