import json
from xml.etree import ElementTree

import pytest
from measured_repository import LATENCY, VARIANT, repository, store

from tools.regressions import main

_NOISE = (0, 3, -2, 1, -3, 2, -1, 0, 2, -2, 3, -1, 1, -3, 0)
N = len(_NOISE)
ATOM = "{http://www.w3.org/2005/Atom}"


def level(factor):
    return [factor * (1 + each / 1000) for each in _NOISE]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A repository of 45 commits with a store: one open, one fixed, one improvement."""
    folder = tmp_path_factory.mktemp("lab")
    hashes = repository(folder, 3 * N)
    store(folder / "results", hashes, level(0.1) + level(0.12) + level(0.12))
    store(folder / "results", hashes, level(1e8) + level(1.5e8) + level(1e8), machine="pixel8",
          metric="memory.peakmem_forward", unit="bytes")  # fmt: skip
    return folder, hashes


@pytest.fixture
def run(folder, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(folder[0])

    def run(*arguments):
        code = main(list(arguments))
        return code, capsys.readouterr()

    return run


def listed(told):
    return [(each["metric"], each["state"]) for each in json.loads(told.out)]


def test_what_is_open_is_listed_with_its_commit_size_and_interval(run, folder):
    code, told = run("--json")
    [change] = json.loads(told.out)
    assert code == 0
    assert (change["metric"], change["subject"], change["machine"]) == (LATENCY, VARIANT, "pixel6")
    assert change["commits"] == [folder[1][N]]
    assert (change["author"], change["subject_of_commit"]) == ("Ada", f"work {N}")
    assert change["low"] < change["ratio"] < change["high"]
    assert change["ratio"] == pytest.approx(1.2, abs=0.01)


def test_all_states_are_sorted_by_size(run):
    assert listed(run("--json", "--state", "all")[1]) == [
        ("memory.peakmem_forward", "fixed"),
        (LATENCY, "open"),
    ]


def test_improvements_are_listed_on_request(run):
    assert listed(run("--json", "--improvements")[1]) == [("memory.peakmem_forward", "kept")]


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--machine", "pixel8"], 1),
        (["--metric", LATENCY], 1),
        (["--model", "mobilenet_v2", "--min-size", "0.3"], 1),
        (["--variant", VARIANT], 2),
        (["--since", "2026-12-01"], 0),
    ],
)
def test_filters_cut_the_list(run, arguments, count):
    assert len(listed(run("--json", "--state", "all", *arguments)[1])) == count


def test_an_accepted_worsening_is_listed_as_such_with_its_reason(run, tmp_path):
    file = tmp_path / "accepted.toml"
    file.write_text(
        f'[[accepted]]\nmetric = "{LATENCY}"\nvariant = "mobilenet_v2/*"\nup_to = 1.3\n'
        'reason = "a larger head"\nexpires = 2999-01-01\n'
        '[[accepted]]\nmetric = "latency.time_forwart"\nvariant = "*"\nup_to = 1.3\n'
        'reason = "a typo"\nexpires = 2999-01-01\n'
    )
    assert listed(run("--json", "--accepted", str(file))[1]) == []
    code, told = run("--json", "--state", "accepted", "--accepted", str(file))
    assert code == 0
    assert json.loads(told.out)[0]["accepted"]["reason"] == "a larger head"
    assert "did you mean 'latency.time_forward'" in told.err


def test_an_entry_for_what_only_the_gate_measures_is_no_mistake(run, tmp_path):
    file = tmp_path / "accepted.toml"
    file.write_text(
        '[[accepted]]\nmetric = "size.track_artifact"\nvariant = "resnet18/*"\nup_to = 1.3\n'
        'reason = "a larger head"\nexpires = 2999-01-01\n'
    )
    assert run("--json", "--accepted", str(file))[1].err == ""


def test_the_table_shows_the_range_of_commits_a_change_came_with(folder, run, tmp_path):
    hashes = folder[1]
    measured = [*level(0.1), None, None, *level(0.12)]
    store(tmp_path / "results", hashes[: len(measured)], measured)
    out = run(str(tmp_path / "results"))[1].out
    assert f"{hashes[N][:8]} to {hashes[N + 2][:8]} (work {N + 2}), one of 3 commits" in " ".join(
        out.split()
    )


def test_a_list_that_cannot_be_written_leaves_the_old_one_whole(run, tmp_path, monkeypatch):
    run("--atom", str(tmp_path / "feed.xml"))
    before = (tmp_path / "feed.xml").read_text()
    monkeypatch.setattr("mobileopt.report.atom.dump", lambda changes: "\ud800")
    with pytest.raises(UnicodeEncodeError):
        run("--atom", str(tmp_path / "feed.xml"))
    assert (tmp_path / "feed.xml").read_text() == before
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".save")] == []


def test_the_table_says_nothing_where_there_is_nothing(run):
    assert run("--since", "2026-12-01")[1].out == "No changes.\n"


def test_the_markdown_is_a_table(run, tmp_path):
    run("--markdown", str(tmp_path / "list.md"))
    heading, rule, row = (tmp_path / "list.md").read_text().splitlines()
    assert heading.count("|") == rule.count("|") == row.count("|")
    assert "+20.0 %" in row


def test_the_feed_is_atom_with_ids_that_stay(run, tmp_path):
    run("--state", "all", "--atom", str(tmp_path / "one.xml"))
    run("--state", "all", "--atom", str(tmp_path / "two.xml"))
    assert (tmp_path / "one.xml").read_bytes() == (tmp_path / "two.xml").read_bytes()
    feed = ElementTree.parse(tmp_path / "one.xml").getroot()
    assert feed.tag == f"{ATOM}feed"
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == 2
    for each in (feed, *entries):
        assert {f"{ATOM}id", f"{ATOM}title", f"{ATOM}updated"} <= {child.tag for child in each}
        assert each.find(f"{ATOM}id").text.startswith("urn:uuid:")
    assert len({each.find(f"{ATOM}id").text for each in entries}) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonesuch"], "nonesuch is not a folder of results"),
        (["--machine", "pixel7"], "did you mean 'pixel"),
        (["--atom", "nonesuch/feed.xml"], "cannot be written"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(run, arguments, sentence):
    code, told = run(*arguments)
    assert code == 2
    assert sentence in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--since", "tomorrow"], ["--min-size", "-1"]])
def test_a_wrong_value_of_an_option_exits_with_2(run, arguments):
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
