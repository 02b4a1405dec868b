from __future__ import annotations

import json
from pathlib import Path

import pytest

from mobileopt.collection.exports import resolve
from mobileopt.store import Store
from tests.collection import lab
from tests.loopback.server import free_port
from tools import collect

pytest_plugins = ["tests.loopback.fixtures"]

NAMES = ("mlp/unfused-float-nchw-mobile", "mlp/fused-float-nchw-mobile")


@pytest.fixture
def run(server, tmp_path, capsys, monkeypatch):
    """The command with artifacts of this commit that need no export."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    order = collect.prepare(
        collect.suite(["mlp"], ["unfused-float-nchw-mobile", "fused-float-nchw-mobile"]),
        store=tmp_path / "results",
    )
    for index, each in enumerate(order.variants):
        lab.forge(order, each, 1000 + index)
    program = lab.program(tmp_path).path
    recipes = [word for each in NAMES for word in ("--recipe", each.partition("/")[2])]

    def command(*arguments: str) -> tuple[int, str, str]:
        fixed = ["--server", f"127.0.0.1:{server.port}", "--store", str(tmp_path / "results")]
        fixed += ["--model", "mlp", *recipes, "--binary", str(program), "--rounds", "2"]
        fixed += ["--no-reference", "--patience", "1", "--deadline", "3"]
        code = collect.main([*fixed, *arguments])
        return code, *capsys.readouterr()

    return command


def test_the_phone_that_is_connected_is_measured_into_the_store(run, connected, tmp_path):
    code, out, err = run()
    assert code == 0
    assert "valid" in out
    assert "2 stored, 0 present, 0 skipped, 0 failed; overhead" in err
    frame = Store(tmp_path / "results").frame()
    found = frame[frame["status"] == "measured"]
    assert set(found["commit"]) == {resolve(Path(), "HEAD").hash}
    assert set(found["version"]) == {"2"}


def test_json_tells_outcomes_and_overhead(run, connected):
    code, out, _ = run("--json")
    told = json.loads(out)
    assert code == 0
    assert [each["status"] for each in told["outcomes"]] == ["stored", "stored"]
    assert 0 < told["overhead"] < 60


def test_list_says_what_is_missing_and_runs_nothing(run, connected, tmp_path):
    code, out, _ = run("--list")
    assert code == 0
    assert out.count("missing") == 2
    assert not (tmp_path / "results").exists()
    run()
    assert run("--list")[1].count("present") == 2


def test_several_phones_need_a_choice(run, plug):
    plug("ONE"), plug("TWO")
    code, _, err = run()
    assert code == 2
    assert "say --all" in err
    assert run("--all")[0] == 0


def test_a_phone_is_chosen_by_its_serial(run, plug, tmp_path):
    plug("ONE"), plug("TWO")
    code, out, _ = run("--device", "TWO", "--json")
    assert code == 0
    assert len(json.loads(out)["outcomes"]) == 2


@pytest.mark.parametrize("name", ["NOBODY", "../x", "$(touch owned)", "a b", "x\ny", "; reboot"])
def test_a_device_nobody_has_is_named_in_one_line(run, connected, name):
    code, out, err = run("--device", name)
    assert (code, out) == (2, "")
    assert "is connected; connected: pixel_8-" in err


@pytest.mark.parametrize("name", ["resnet19", "../mlp", "$(reboot)", "m\nlp", "mlp;ls"])
def test_a_model_or_recipe_the_suite_does_not_have_is_refused(run, connected, name):
    assert run("--model", name)[0] == 2
    assert run("--recipe", name)[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rounds", "0"),
        ("--iterations", "0"),
        ("--cores", "big"),
        ("--precision", "nan"),
        ("--seconds", "inf"),
        ("--commit", "no-such-commit"),
        ("--commit=--output=/tmp/x",),
        ("--binary", "/no/such/file"),
        ("--baseline", "what"),
        ("--server", "nonsense"),
        ("--deadline", "nan"),
        ("--deadline", "inf"),
        ("--deadline", "0"),
        ("--deadline=-1",),
        ("--deadline", "1e300"),
        ("--export-deadline", "nan"),
        ("--export-deadline", "0"),
        ("--patience", "nan"),
        ("--patience", "inf"),
        ("--patience=-1",),
        ("--connect", "x; reboot"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_done(run, connected, tmp_path, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("named", [False, True])
def test_a_phone_that_cannot_be_reached_stops_no_other(run, plug, named):
    off, on = f"127.0.0.1:{free_port()}", plug("ON").adbd.address
    chosen = ("--device", off, "--device", on) if named else ()
    code, out, _ = run("--connect", off, "--connect", on, *chosen, "--json")
    told = json.loads(out)
    assert code == 1
    assert [each["status"] for each in told["outcomes"]] == ["stored", "stored"]
    assert "nobody can be reached" in told["unusable"][off]
    assert off in run("--list", "--connect", off)[1]


def test_when_no_phone_can_be_reached_nothing_is_done_and_each_is_named(run):
    first, second = (f"127.0.0.1:{free_port()}" for _ in range(2))
    code, _, err = run("--connect", first, "--connect", second)
    assert code == 2
    assert first in err
    assert second in err


def test_a_phone_that_is_connected_already_is_not_cut_off(run, connected, server):
    before = server.transports()
    run("--connect", connected.adbd.address, "--list")
    assert server.transports() == before


def test_nothing_connected_is_an_error_of_its_own(run):
    code, _, err = run()
    assert code == 2
    assert "no device is connected" in err


def test_no_server_on_another_computer_is_an_error(run):
    code, _, err = run("--server", f"127.0.0.2:{free_port()}")
    assert code == 2
    assert "no adb server answers" in err


def test_results_that_asv_would_hide_are_told(run, connected, tmp_path):
    run()
    path = tmp_path / "results" / "benchmarks.json"
    listed = json.loads(path.read_text())
    listed["latency.time_forward"]["version"] = "1"
    path.write_text(json.dumps(listed))
    assert "lists version 1 of latency.time_forward" in run()[2].replace("\n", "")


def test_a_store_that_cannot_be_read_is_a_failure_of_its_own(run, connected, tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    code, _, err = run()
    assert code == 1
    assert "2 failed" in err


def test_the_benchmark_is_the_suites():
    from benchmarks import latency

    made = collect.latency()
    assert made.version == latency.time_forward.version
    assert [list(axis) for axis in made.params] == latency.params
    assert list(made.param_names) == latency.param_names
