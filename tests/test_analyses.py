from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mobileopt import analyses
from mobileopt.analyses import Analyses
from mobileopt.changes import SeriesKey, find_together
from mobileopt.errors import InputError


def series(count: int = 4, length: int = 60) -> dict[SeriesKey, np.ndarray]:
    """Noise, and in every second series a step of 20 % and a gap."""
    rng = np.random.default_rng(7)
    found = {}
    for number in range(count):
        values = 0.01 * np.exp(rng.normal(0, 0.01, length))
        if number % 2:
            values[length // 2 :] *= 1.2
            values[5] = np.nan
        found[SeriesKey("bench", f"series {number}")] = values
    return found


def test_the_changes_are_those_of_one_process_without_memory(tmp_path: Path):
    expected = find_together(series())
    assert len(expected) == 2
    for _ in range(2):
        with Analyses(tmp_path / "kept.npz") as kept:
            assert find_together(series(), analyse_all=kept) == expected


def test_several_processes_find_what_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(analyses, "_WORTH_A_PROCESS", 0)
    with Analyses(tmp_path / "kept.npz") as kept:
        assert find_together(series(), analyse_all=kept) == find_together(series())


def test_processes_begun_beforehand_find_the_same_and_serve_more_than_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(analyses, "_WORTH_A_PROCESS", 0)
    with analyses.processes() as pool:
        for name in ("one", "two"):
            with Analyses(tmp_path / name, pool=pool) as kept:
                assert find_together(series(), analyse_all=kept) == find_together(series())


def test_only_new_series_are_analysed(tmp_path: Path):
    told: list[tuple[int, int]] = []
    many = series()
    with Analyses(tmp_path / "kept.npz") as kept:
        find_together(many, analyse_all=kept)
    many[SeriesKey("bench", "series 0")] = many[SeriesKey("bench", "series 0")] * 2
    with Analyses(tmp_path / "kept.npz", lambda done, of: told.append((done, of))) as kept:
        find_together(many, analyse_all=kept)
    assert told == [(1, 1)]


def test_a_gap_does_not_make_a_series_new(tmp_path: Path):
    told: list[tuple[int, int]] = []
    with Analyses(tmp_path / "kept.npz") as kept:
        find_together(series(), analyse_all=kept)
    wider = {key: np.concatenate([[np.nan], values]) for key, values in series().items()}
    with Analyses(tmp_path / "kept.npz", lambda done, of: told.append((done, of))) as kept:
        found = find_together(wider, analyse_all=kept)
    assert told == []
    assert found == find_together(wider)


def test_another_least_effect_is_another_analysis(tmp_path: Path):
    with Analyses(tmp_path / "kept.npz") as kept:
        assert find_together(series(), analyse_all=kept)
        assert find_together(series(), min_effect=0.5, analyse_all=kept) == []


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"nonsense" * 100])
def test_a_damaged_file_costs_time_and_nothing_else(tmp_path: Path, content: bytes):
    path = tmp_path / "kept.npz"
    path.write_bytes(content)
    with Analyses(path) as kept:
        assert find_together(series(), analyse_all=kept) == find_together(series())


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with Analyses(tmp_path / "file" / "kept.npz") as kept:
        assert len(find_together(series(), analyse_all=kept)) == 2


def test_what_nobody_asks_for_does_not_pile_up(tmp_path: Path):
    path = tmp_path / "kept.npz"
    for number in range(6):
        shifted = {key: values * (1 + number) for key, values in series().items()}
        with Analyses(path) as kept:
            find_together(shifted, analyse_all=kept)
    assert len(analyses._read(path)) == 2 * len(series())


def test_a_series_that_never_moves_has_no_changes(tmp_path: Path):
    with Analyses(tmp_path / "kept.npz") as kept:
        key = SeriesKey("bench", "size")
        assert find_together({key: np.full(50, 3.0)}, analyse_all=kept) == []


def test_a_value_without_a_level_is_refused(tmp_path: Path):
    with Analyses(tmp_path / "kept.npz") as kept, pytest.raises(InputError, match="above 0"):
        find_together({SeriesKey("bench", "noise"): np.zeros(50)}, analyse_all=kept)
