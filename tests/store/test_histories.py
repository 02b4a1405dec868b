from datetime import UTC, datetime, timedelta

import pytest

from mobileopt.run import Metric
from mobileopt.store import Benchmark, Entry, Environment, Store
from mobileopt.store.histories import histories
from mobileopt.variant import Variant

START = datetime(2026, 1, 1, tzinfo=UTC)
VARIANT = "mobilenet_v2/fx-int8_qnnpack-nhwc-mobile"


@pytest.fixture
def add(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "results")

    def add(day, value, machine="pixel6", version="1", threads=1, environment="py3.11"):
        benchmark = Benchmark(
            "device.track", version, params=((VARIANT,), (1, 4)), param_names=("variant", "threads")
        )
        samples = (value, value, value) if value else ()
        reason = None if samples else "no device"
        store.add(
            Entry(
                f"{day}", {"machine": machine}, f"{day}" * 40, START + timedelta(days=day),
                Environment(environment), benchmark, START + timedelta(days=30 + day),
                (VARIANT, threads), samples, reason=reason,
            )
        )  # fmt: skip
        return store

    return add


def test_a_store_gives_a_series_for_each_thing_that_may_be_compared(add):
    for day in (2, 1, 3):
        add(day, 1.0 + day)
    store = add(1, 9.0, threads=4)
    found = histories(store.frame(samples=True))
    by_threads = {dict(series.origin.settings)["threads"]: series for series in found}
    assert by_threads["1"].values == (2.0, 3.0, 4.0)
    assert by_threads["4"].values == (9.0,)
    first = by_threads["1"].points[0]
    assert (first.commit, first.date) == ("1" * 40, START + timedelta(days=1))
    assert (first.n, first.samples) == (3, (2.0, 2.0, 2.0))
    assert by_threads["1"].origin.variant == Variant.parse(VARIANT)
    assert by_threads["1"].origin.metric == Metric("device.track", "seconds")


@pytest.mark.parametrize(
    "change", [{"machine": "pixel7"}, {"version": "2"}, {"environment": "py3.12"}]
)
def test_machines_versions_and_environments_are_not_mixed(add, change):
    add(1, 1.0)
    store = add(2, 2.0, **change)
    assert sorted(series.values for series in histories(store.frame())) == [(1.0,), (2.0,)]


def test_a_commit_that_failed_is_not_a_point(add):
    add(1, 1.0)
    add(2, None)
    store = add(3, 3.0)
    (series,) = histories(store.frame())
    assert series.values == (1.0, 3.0)


def test_commits_outside_of_the_given_history_are_left_out(add):
    add(1, 1.0)
    store = add(2, 2.0)
    (series,) = histories(store.frame(), ["2" * 40])
    assert series.values == (2.0,)
    assert store.series(["2" * 40]) == [series]
    assert histories(store.frame(), ["f" * 40]) == []


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ((("mobilenet_v2",), ("fx-int8_qnnpack-nhwc-mobile",)), ("model", "recipe")),
        (
            (("mobilenet_v2",), ("fx",), ("int8_qnnpack",), ("nhwc",), ("mobile",)),
            ("model", "fusion", "precision", "layout", "backend"),
        ),
    ],
)
def test_a_variant_is_read_from_its_parts_too(tmp_path, monkeypatch, params, names):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "results")
    benchmark = Benchmark("device.track", "1", params=params, param_names=names)
    combination = tuple(axis[0] for axis in params)
    store.add(
        Entry(
            "1", {"machine": "pixel6"}, "1" * 40, START, Environment("py3.11"), benchmark, START,
            combination, (1.0,),
        )
    )  # fmt: skip
    (series,) = histories(store.frame())
    assert str(series.origin.variant) == VARIANT
    assert series.origin.settings == ()


def test_parameters_that_are_no_variant_are_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "results")
    benchmark = Benchmark(
        "x.track", "1", params=(("A/B",), ("..",)), param_names=("model", "recipe")
    )
    store.add(
        Entry(
            "1", {"machine": "pixel6"}, "1" * 40, START, Environment("py3.11"), benchmark, START,
            ("A/B", ".."), (1.0,),
        )
    )  # fmt: skip
    (series,) = store.series()
    assert series.origin.variant is None
    assert series.origin.settings == (("model", "A/B"), ("recipe", ".."))
