import json
import random

import pytest
from tuning.races import Machine, name

from mobileopt.errors import InputError
from mobileopt.tuning import recording
from mobileopt.tuning.race import Rules
from mobileopt.tuning.recording import Recording

LATENCIES = {"a": 0.03, "b": 0.01, "c": 0.02, "d": 0.0101}


@pytest.fixture
def recorded():
    race = Machine(LATENCIES).race(eliminate=False, together=3)
    return Recording("resnet18", {"processor": "made up"}, race.candidates, race.heats)


def test_what_was_written_is_read_again(recorded, tmp_path):
    path = tmp_path / "session.json"
    recording.write(recorded, path)
    found = recording.read(path)
    assert found.model == recorded.model
    assert found.candidates == recorded.candidates
    assert found.seconds == pytest.approx(recorded.seconds, rel=1e-4)
    assert found.fastest == recorded.fastest


def test_a_replayed_race_finds_the_best_in_less_time(recorded):
    result = recording.replay(recorded, Rules()).result()
    assert result.best.name in (name("b"), name("d"))
    assert result.seconds < recorded.seconds


def test_a_replay_without_elimination_takes_exactly_the_recorded_time(recorded):
    race = recording.replay(recorded, Rules(eliminate=False))
    assert race.seconds == pytest.approx(recorded.seconds)


def test_a_replay_charges_for_the_reference_that_ties_the_batches_together(recorded):
    race = recording.replay(recorded, Rules())
    last = race.heats[-1]
    assert all(last.reference in batch.wall for batch in last.batches)


def test_the_excess_is_against_the_fastest(recorded):
    assert recorded.excess(recorded.fastest) == 0
    assert recorded.excess(name("c")) == pytest.approx(1.0, rel=0.03)


def test_a_resampled_session_has_recorded_launches_and_repeats_with_the_seed(recorded):
    def drawn(seed):
        return recording.resampled(recorded, random.Random(seed)).heats

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len(drawn(1)) == len(recorded.heats)
    assert set(map(id, drawn(1))) < set(map(id, recorded.heats))


def test_a_replay_stops_where_the_recording_ends(recorded):
    race = recording.replay(recorded, Rules(launches=100, threshold=1e-6, alpha=1e-9))
    assert race.end == "interrupted"
    assert len(race.heats) == 12


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "model": "x"}', "\x00"]
)
def test_a_file_that_is_no_session_is_refused_in_one_sentence(text, tmp_path):
    path = tmp_path / "session.json"
    path.write_text(text)
    with pytest.raises(InputError, match="session"):
        recording.read(path)


def test_a_hostile_name_in_a_session_is_refused(recorded, tmp_path):
    path = tmp_path / "session.json"
    recording.write(recorded, path)
    document = json.loads(path.read_text())
    document["candidates"][0]["recipe"] = "<script>-float-nchw-eager"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="lower-case"):
        recording.read(path)


def test_a_session_that_cannot_be_written_is_told(recorded, tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        recording.write(recorded, tmp_path / "missing" / "session.json")
