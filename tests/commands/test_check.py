"""The gate on real commits: a repository with a copy of this package, and branches of it."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from measured_repository import commit, git, store

import mobileopt
from mobileopt import measure
from mobileopt.__main__ import main
from mobileopt.gate import commits_compared, timing

MODEL, RECIPE = "annotated_conv_bn_relu", "fx-float-nchw-torchscript"
CHOSEN = ["--models", MODEL, "--recipes", RECIPE, "--passes", "fx"]
EXACT = [*CHOSEN, "--no-timing", "--budget", "500"]
PASSES_ALONE = ["--recipes", "--passes", "fx"]
PASS = "mobileopt/optimizations/fold_conv_bn/__init__.py"
FOLDS_SLOWLY = """

_once = apply

def apply(module, example_inputs):
    for _ in range(6):
        result = _once(module, example_inputs)
    return result
"""
FOLDS_NOTHING = """

def apply(module, example_inputs):
    return Result(copied(module), (), {"": "folds nothing"})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """main holds this package; `fewer` folds nothing, `slow` six times, `same` as main."""
    folder = tmp_path_factory.mktemp("code")
    git(folder, "init", "-q", "-b", "main")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(mobileopt.__file__).parent, folder / "mobileopt", ignore=ignored)
    git(folder, "add", "-A")
    commit(folder, "all of it")
    for name, text in (
        ("fewer", FOLDS_NOTHING),
        ("slow", FOLDS_SLOWLY),
        ("same", "\n# a comment\n"),
        ("broken", "\n1 +\n"),
    ):
        git(folder, "checkout", "-q", "-b", name, "main")
        with (folder / PASS).open("a") as file:
            file.write(text)
        git(folder, "add", "-A")
        commit(folder, name)
    git(folder, "checkout", "-q", "main")
    return folder


@pytest.fixture
def check(folder, monkeypatch, capsys):
    """Run `mobileopt check` on a branch of the repository; gives its exit code and its output."""
    monkeypatch.chdir(folder)

    def check(branch, *arguments):
        code = main(["check", "--head", branch, *arguments])
        return code, capsys.readouterr()

    return check


@pytest.fixture(scope="module")
def fewer(folder, tmp_path_factory):
    """The outputs of one check of the branch that folds fewer."""
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GITHUB_STEP_SUMMARY", str(out / "summary.md"))
        outputs = ["--junit", str(out / "check.xml"), "--markdown", str(out / "check.md")]
        code = main(["check", "--head", "fewer", *EXACT, "--summary", *outputs])
    return code, out


def test_a_branch_whose_pass_folds_fewer_is_worse_and_says_of_what_and_how_much(fewer):
    code, out = fewer
    assert code == 1
    text = (out / "check.md").read_text()
    assert text.startswith("### ❌")
    [row] = [line for line in text.splitlines() if "passes.track" in line]
    assert "1 modules | 0 modules" in row
    assert "WORSE" in row
    assert (out / "summary.md").read_text() == text


def test_its_junit_file_holds_a_failure_for_each_thing_that_is_worse(fewer):
    suite = ElementTree.parse(fewer[1] / "check.xml").getroot()
    assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
    failed = {
        (each.get("classname"), each.get("name")) for each in suite if len(each.findall("failure"))
    }
    assert ("passes.track_changed", f"{MODEL}/fx") in failed
    assert ("size.track_artifact", f"{MODEL}/{RECIPE}") in failed


def test_a_branch_that_changes_nothing_passes_though_its_sources_differ(check):
    code, told = check("same", *EXACT, "--passes", "--json")
    document = json.loads(told.out)
    assert code == 0
    assert document["verdict"] == "nothing worse"
    assert {each["outcome"] for each in document["findings"]} == {"ok"}
    sizes = [each for each in document["findings"] if each["metric"] == "size.track_artifact"]
    assert [each["base"] for each in sizes] == [each["head"] for each in sizes]


def test_accepted_worsenings_pass_and_what_accept_prints_is_what_accepts_them(check, tmp_path):
    alone = [*PASSES_ALONE, "--no-timing", "--budget", "500"]
    code, told = check("fewer", *alone, "--accept")
    assert code == 1
    file = tmp_path / "accepted.toml"
    file.write_text(told.out + '\n[[accepted]]\nmetric = "size.track_artefact"\nvariant = "*"\n'
                    'up_to = 2\nreason = "a typo"\nexpires = 2999-01-01\n')  # fmt: skip
    code, told = check("fewer", *alone, "--json", "--accepted", str(file))
    assert code == 0
    assert "did you mean 'size.track_artifact'" in told.err
    outcomes = {each["outcome"] for each in json.loads(told.out)["findings"]}
    assert outcomes == {"accepted"}


def test_a_branch_that_cannot_export_any_more_is_worse_with_the_reason(check):
    code, told = check("broken", *CHOSEN, "--no-timing", "--passes", "--json")
    [finding] = json.loads(told.out)["findings"]
    assert code == 1
    assert finding["metric"] == "export"
    assert "invalid syntax" in finding["reason"]


def test_a_check_whose_budget_ends_too_early_cannot_tell_and_leaves_no_worktree(check, folder):
    code, told = check("same", *PASSES_ALONE, "--budget", "0.5", "--json")
    [finding] = json.loads(told.out)["findings"]
    assert code == 2
    assert finding["outcome"] == "unclear"
    assert "the budget of 0.5 s ended" in finding["reason"]
    assert len(git(folder, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--base", "nonesuch"], "'nonesuch' is no commit"),
        (["--recipes", "fx-float"], "2 of the 4 words"),
        (["--passes", "fusd"], "unknown pass 'fusd', did you mean 'fused'"),
        (["--junit", "nonesuch/check.xml"], "there is no folder for it"),
        (["--summary"], "GITHUB_STEP_SUMMARY"),
        (["--pass-models", "mlq"], "did you mean 'mlp'"),
    ],
)
def test_input_that_cannot_be_used_is_one_sentence_and_exit_code_3(check, arguments, sentence):
    code, told = check("same", *arguments)
    assert code == 3
    assert sentence in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["--budget", "0"], ["--threshold", "x"], ["--bugdet", "60"], ["--quick"]]
)
def test_a_mistyped_option_and_a_wrong_value_of_one_exit_with_3_as_well(check, arguments):
    with pytest.raises(SystemExit) as ended:
        check("same", *arguments)
    assert ended.value.code == 3


NOTHING = ["--recipes", "--passes", "--no-timing", "--json"]


@pytest.fixture
def line(tmp_path, monkeypatch):
    """A repository whose branch main is two commits and a merge; gives its commits."""
    git(tmp_path, "init", "-q", "-b", "main")
    hashes = [commit(tmp_path, "one"), commit(tmp_path, "two")]
    git(tmp_path, "checkout", "-q", "-b", "side", hashes[0])
    commit(tmp_path, "aside")
    git(tmp_path, "checkout", "-q", "main")
    git(tmp_path, "merge", "-q", "--no-ff", "-m", "merge", "side")
    monkeypatch.chdir(tmp_path)
    return [*hashes, git(tmp_path, "rev-parse", "HEAD")]


def test_on_the_main_branch_itself_a_commit_is_compared_with_the_one_before_and_says_so(
    line, capsys
):
    main(["check", *NOTHING])
    document = json.loads(capsys.readouterr().out)
    assert (document["base"], document["head"]) == (line[1], line[2])
    assert "HEAD is part of main already" in document["notes"][0]


def test_a_base_that_was_named_is_taken_though_it_is_the_head(line, capsys):
    main(["check", "--base", "main", *NOTHING])
    document = json.loads(capsys.readouterr().out)
    assert document["base"] == document["head"] == line[2]


def test_the_first_commit_of_all_has_no_base_and_exits_with_3(line, capsys):
    assert main(["check", "--head", line[0], *NOTHING]) == 3
    assert "is the first commit there is, so it has no base" in capsys.readouterr().err


def test_a_folder_that_is_no_repository_exits_with_3(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 3
    assert "no git repository" in capsys.readouterr().err


@pytest.mark.slow
def test_a_check_with_timing_measures_artifacts_and_passes_of_both_commits(check):
    code, told = check("same", *CHOSEN, "--budget", "90", "--json")
    timed = {
        each["metric"]: each
        for each in json.loads(told.out)["findings"]
        if each["unit"] == "seconds"
    }
    assert code in (0, 2)  # how much fits into the time is the machine's to say
    assert set(timed) <= {"latency.time_forward", "passes.time_apply"}
    assert all(0.5 < each["ratio"] < 2 for each in timed.values() if each["ratio"] is not None)


@pytest.fixture
def clock_of_launches(monkeypatch):
    """Time that passes by launches alone: how many there are is not the machine's to say."""
    launched = []

    def session(*arguments, until, **options):
        launched.append(until)
        return measure.session(*arguments, **options)

    def clock(deadline, on_launch):
        return timing.Clock(25.0, lambda: float(len(launched)), session, on_launch)

    monkeypatch.setattr(commits_compared, "Clock", clock)


@pytest.mark.slow
@pytest.mark.usefixtures("clock_of_launches")
def test_a_branch_whose_pass_takes_several_times_as_long_is_worse_and_named(check):
    chosen = [*PASSES_ALONE, "--pass-models", MODEL, "--budget", "500"]
    code, told = check("slow", *chosen, "--json")
    document = json.loads(told.out)
    assert code == 1, document
    [worse] = [each for each in document["findings"] if each["outcome"] == "worse"]
    assert (worse["metric"], worse["subject"]) == ("passes.time_apply", f"{MODEL}/fx")
    assert document["sentence"].startswith(f"passes.time_apply of {MODEL}/fx is +")


def test_the_last_results_of_a_store_are_judged_without_measuring(folder, check, tmp_path):
    head = git(folder, "rev-parse", "main")
    results = store(tmp_path / "results", [head], [0.1]).path
    code, told = check("same", "--store", str(results), "--json")
    assert code == 2
    assert json.loads(told.out)["findings"][0]["reason"] == "it is the first result"
