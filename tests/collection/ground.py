"""The ground of the campaign: two phones being measured, one of which something is done to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from mobileopt.collection import Event, Order, Outcome
from mobileopt.store import Store
from tests.collection import lab
from tests.collection.campaign import Tally
from tests.loopback.connected import Connected

VARIANTS = lab.VARIANTS[:2]
FIRST, SECOND = map(str, VARIANTS)
HANG = 60.0
"""Seconds a case may take on a busy machine; one takes about two."""

EXPORTING, WARMING, ROUND, LATER = "mlp: exporting", f"{FIRST}: warm-up", "round 1 ", "round 2 "
MOMENTS = {"in warm-up": WARMING, "in round 1": ROUND, "in round 2": LATER}


@dataclass
class Field:
    """Two phones, an order, and good results from before for both."""

    victim: Connected
    witness: Connected
    order: Order
    names: tuple[str, str]


def strike(
    ground: Field, server: Any, tally: Tally, moment: str, deed: Callable[[], None]
) -> list[Outcome]:
    """Collect on both phones; `deed` is done when the victim comes to `moment`, or at once."""
    tally.injected += 1
    done = threading.Event()

    def watch(event: Event) -> None:
        now = event.device == ground.names[0] and event.sentence.startswith(moment or "\0")
        if now and not done.is_set():
            done.set()
            deed()

    if not moment:
        deed()
    outcomes = in_time(tally, lambda: lab.collect(ground.order, server, watch))
    assert done.is_set() or not moment, "the fault never struck"
    return outcomes


def in_time(tally: Tally, deed: Callable[[], Iterable[Outcome]]) -> list[Outcome]:
    """The outcomes of a collection, which is to end."""
    outcomes: list[Outcome] = []
    run = threading.Thread(target=lambda: outcomes.extend(deed()), daemon=True)
    run.start()
    run.join(HANG)
    tally.hung += ["it"] * run.is_alive()
    assert not run.is_alive(), "it hung"
    return outcomes


def check(ground: Field, tally: Tally, outcomes: list[Outcome], what: str) -> None:
    """Nothing lost, replaced or damaged, and a record of each run."""
    tally.check(ground.order, outcomes, what)
    assert {(each.device, each.variant) for each in outcomes} == {
        (name, str(each)) for name in ground.names for each in VARIANTS
    }
    recorded = [each for each in Store(ground.order.store).runs() if each["kind"] == "run"]
    assert len(recorded) >= 8  # those from before, and those of this time


def heal(ground: Field, server: Any) -> None:
    """Whatever was wrong with the victim is so no more."""
    victim = ground.victim
    victim.adbd.fault = None
    victim.root.set_properties(**{"ro.serialno": "VICTIM"})
    victim.adbd.thaw()
    victim.adbd.die()
    if victim.adbd._listener.fileno() < 0:
        victim.adbd.power_on()
    for tool in ("df", "mkdir", "rm", "sh"):
        (victim.root.folder / "system/bin" / tool).unlink(missing_ok=True)
    for each in (victim.root.folder / "data/local/tmp/mobileopt/bin").glob("*/*.d"):
        for path in each.iterdir():
            path.unlink()
        each.rmdir()
    server.connect(victim.adbd.address)


def restored(ground: Field, server: Any, tally: Tally, what: str) -> None:
    """The next start leaves nothing on the phone, though it has nothing to measure; and it can."""
    heal(ground, server)
    again = lab.collect(replace(ground.order, redo=False), server)
    assert {each.status for each in again} == {"present"}
    tally.clean(what, ground.victim.root, ground.witness.root)
    measured = lab.collect(replace(ground.order, variants=VARIANTS[:1]), server)
    assert {each.status for each in measured} == {"stored"}
    tally.clean(what, ground.victim.root, ground.witness.root)
