"""Entries as a phone's collector makes them."""

from datetime import UTC, datetime, timedelta

from mobileopt.store import Benchmark, Entry, Environment

COMMIT = "a" * 40
MACHINE = {
    "machine": "pixel6",
    "os": "Android 14",
    "arch": "aarch64",
    "cpu": "Tensor",
    "num_cpu": "8",
    "ram": "8GB",
}
LATENCY = Benchmark(
    "device.Latency.track_median",
    "1",
    params=(("mobilenet_v2", "resnet18"), ("nchw", "nhwc")),
    param_names=("model", "layout"),
)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(second=0, samples=(1.0, 1.1, 1.2, 1.3, 1.4, 1.5), **changes):
    """An entry measured `second` seconds after START; a failure when it has no samples."""
    fields = {
        "run": f"run-{second}",
        "machine": MACHINE,
        "commit": COMMIT,
        "date": datetime(2026, 2, 1, tzinfo=UTC),
        "environment": Environment("py3.11-torch2.12", "3.11", {"torch": "2.12"}),
        "benchmark": LATENCY,
        "started_at": START + timedelta(seconds=second),
        "combination": ("resnet18", "nhwc"),
        "samples": samples,
        "reason": None if samples else "no device attached",
    }
    return Entry(**fields | changes)


def values(store):
    """The measured values by (benchmark, combination), read the way a report reads them."""
    frame = store.frame()
    names = [n for n in ("model", "layout") if n in frame]
    measured = frame[frame.status == "measured"]
    keys = [measured.benchmark.astype(str), *(measured[name].astype(object) for name in names)]
    return dict(zip(zip(*keys, strict=True), measured.value, strict=True))
