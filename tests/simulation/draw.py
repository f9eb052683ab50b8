"""From a seed to a schedule."""

from __future__ import annotations

import random
from typing import Final, get_args

from tests.simulation.ops import (
    Cancel,
    Drain,
    Expire,
    Garbage,
    Kill,
    Kind,
    Moment,
    MoveDlq,
    Op,
    Purge,
    Redeliver,
    Redrive,
    Repeat,
    Resend,
    Spare,
    Stall,
    Start,
    Submit,
    Way,
)
from tests.simulation.schedule import Burst, Error, Rates, Schedule, Target, Terms

# What a run is about: one of these is turned up, the others stay low.
THEMES: Final = (
    "network",
    "crashes",
    "stalls",
    "operators",
    "queue",
    "breaker",
    "deploys",
    "killers",
    "sweeps",
    "mixed",
)
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_BURSTS: Final[tuple[Error, ...]] = ("throttled", "unavailable", "lost", "lost")
_TARGETS: Final[tuple[Target, ...]] = ("", "sqs", "dynamodb")
_WAYS: Final[tuple[Way, ...]] = ("api", "bare", "direct")
# A daemon's death is worth most where a write was applied and nobody knows of it yet, and a stall
# between what it has seen and what it does about it.
_KILLS: Final[dict[Moment, int]] = {
    "step": 4,
    "claim": 3,
    "settle": 3,
    "dead": 4,
    "deleted": 1,
    "sent": 3,
    "overdue": 1,
}
_STALLS: Final[tuple[Moment, ...]] = ("now", "claim", "received", "settle", "overdue")


def draw(seed: int) -> Schedule:
    """The schedule of a seed."""
    dice = random.Random(seed)
    theme = dice.choice(THEMES)
    length = round(dice.uniform(110, 160) if theme == "sweeps" else dice.uniform(40, 130), 1)
    submits = _submits(dice, theme, length)
    outages = _outages(dice, theme, length)
    ops: list[Op] = [*submits, *_daemons(dice, theme)]
    ops += _on_tasks(dice, theme, length, submits)
    ops += _on_queue(dice, theme, length, submits)
    ops += _on_daemons(dice, theme, length)
    return Schedule(
        seed=seed,
        length=length,
        terms=_terms(dice, theme),
        rates=_rates(dice, theme),
        bursts=_bursts(dice, theme, length),
        outages=outages,
        ops=tuple(sorted(ops, key=lambda op: op.at)),
    )


def _terms(dice: random.Random, theme: str) -> Terms:
    return Terms(
        visibility=dice.choice((12, 12, 20, 30)),
        concurrency=dice.choice((1, 3, 10, 10, 20)),
        grace=30 if theme == "sweeps" else dice.choice((30, 60, 90)),
        sweep=30 if theme == "sweeps" else dice.choice((30, 45, 60)),
        crash_limit=dice.choice((2, 3, 3)),
        wait=dice.choice((5, 20, 20)),
        drain=dice.choice((0, 3, 10)),
        index_lag=dice.choice((0, 0, 500, 4_000)),
        in_flight=dice.choice((120_000,) * 8 + (3, 8)),
        receives=dice.choice((1_000,) * 8 + (13, 20)),
        replace_after=dice.choice((1.0, 5.0, 20.0)),
    )


def _rates(dice: random.Random, theme: str) -> Rates:
    if theme != "network" and dice.random() < 0.3:
        return Rates()
    most = 0.15 if theme == "network" else 0.05

    def rate(scale: float = 1.0) -> float:
        return round(dice.random() * most * scale, 3) if dice.random() < 0.7 else 0.0

    return Rates(
        throttled=rate(),
        unavailable=rate(),
        lost=rate(1.5),
        overdue=rate(0.5),
        partial=rate(2),
        again=rate(2),
        late=rate(),
        slow=rate(),
        longest=dice.choice((1.0, 5.0, 30.0)),
    )


def _bursts(dice: random.Random, theme: str, length: float) -> tuple[Burst, ...]:
    count = dice.choice((1, 2, 3)) if theme == "network" else dice.random() < 0.2
    found: list[Burst] = []
    for _ in range(count):
        start = round(dice.uniform(0, length), 1)
        error: Error = dice.choice(_BURSTS)
        # Replies lost for longer than a few leases must not look like as many crashes.
        end = round(start + dice.choice((10, 40, 150) if error == "lost" else (3, 10, 40)), 1)
        who = dice.choice(("", "", "d0", "d1"))
        found.append(Burst(start, end, error, dice.choice(_TARGETS), who))
    return tuple(found)


def _outages(dice: random.Random, theme: str, length: float) -> tuple[tuple[float, float], ...]:
    if theme != "breaker" and dice.random() < 0.8:
        return ()
    start = round(dice.uniform(0, length * 0.4), 1)
    return ((start, round(start + dice.uniform(5, 60), 1)),)


def _submits(dice: random.Random, theme: str, length: float) -> list[Submit]:
    count = dice.choice((1, 2, 3, 4, 6, 9))
    kinds: list[Kind] = [dice.choice(KINDS) for _ in range(count)]
    if theme == "breaker":
        kinds += ["fragile"] * dice.randint(6, 14)
    if theme == "killers":
        kinds += ["killer"] * dice.randint(1, 2)
        kinds += ["slow"] * 2
    if theme in ("crashes", "stalls", "deploys"):
        kinds += ["slow"] * dice.randint(0, 3)
    if theme == "operators":
        kinds += ["doomed", "picky"]
    together = dice.random() < 0.4
    found: list[Submit] = []
    for task, kind in enumerate(kinds):
        at = 1.0 if together else round(dice.uniform(0, length * 0.7), 2)
        way: Way = dice.choices(_WAYS, (4, 8, 1) if theme == "sweeps" else (12, 1, 2))[0]
        delay = round(dice.uniform(1, 60), 1) if dice.random() < 0.15 else 0.0
        if dice.random() < 0.01:
            delay = 905.0 + task  # beyond what SQS can delay: the sweeper's
        if way == "direct":
            delay = 0.0
        large, bad = dice.random() < 0.15, dice.random() < 0.04
        found.append(Submit(at, task, kind, way, delay, large, bad))
    return found


def _daemons(dice: random.Random, theme: str) -> list[Op]:
    count = dice.choice((2, 2, 3) if theme == "sweeps" else (1, 2, 2, 3))
    found: list[Op] = []
    for n in range(count):
        skew = round(dice.uniform(-2, 2), 2) if dice.random() < 0.5 else 0.0
        if dice.random() < 0.08:
            skew = round(dice.uniform(-20, 20), 1)
        old = theme == "deploys" and dice.random() < 0.5
        found.append(Start(0.1 * n, skew, old))
    return found


def _on_tasks(dice: random.Random, theme: str, length: float, submits: list[Submit]) -> list[Op]:
    found: list[Op] = []
    busy = theme in ("operators", "mixed")

    def at(submit: Submit) -> float:
        return round(dice.uniform(submit.at, min(length, submit.at + 60)), 2)

    for submit in submits:
        if dice.random() < (0.25 if busy else 0.06):
            found.append(Cancel(at(submit), submit.task))
        mortal = submit.kind in ("doomed", "picky", "killer", "hasty", "flaky")
        if dice.random() < ((0.8 if mortal else 0.2) if busy else 0.15 if mortal else 0.03):
            again = round(dice.uniform(1, 40), 1) if dice.random() < 0.5 else 0.0
            found.append(Redrive(at(submit), submit.task, again))
        if submit.way != "direct" and dice.random() < 0.1:
            found.append(Repeat(at(submit), submit.task))
        if dice.random() < (0.3 if theme in ("queue", "mixed", "stalls") else 0.06):
            found.append(Spare(at(submit), submit.task))
    return found


def _on_queue(dice: random.Random, theme: str, length: float, submits: list[Submit]) -> list[Op]:
    found: list[Op] = []
    many = theme in ("queue", "operators")

    def maybe(chance: float, turned_up: float) -> bool:
        return dice.random() < (turned_up if many else chance)

    def at() -> float:
        return round(dice.uniform(1, length), 2)

    if maybe(0.08, 0.4):
        found.append(Purge(at()))
    if maybe(0.08, 0.4):
        found.append(MoveDlq(at()))
    if maybe(0.08, 0.4):
        found.append(Resend(at(), dice.choice((1, 1, 3))))
    if maybe(0.05, 0.2):
        found.append(
            Garbage(at(), dice.choice(("not json", "[1]", '{"id": 5}', '{"v":2,"id":"a"}')))
        )
    # A direct producer's spare copies would make their records anew: R1 rules that out.
    if all(submit.way != "direct" for submit in submits) and maybe(0.1, 0.5):
        found.append(Expire(round(dice.uniform(length / 2, length), 2)))
    times = dice.choice((0, 1, 3) if many else (0, 0, 1))
    found += [Redeliver(at(), dice.choice((1, 2, 10))) for _ in range(times)]
    return found


def _on_daemons(dice: random.Random, theme: str, length: float) -> list[Op]:
    found: list[Op] = []
    moment: Moment

    def at() -> float:
        return round(dice.uniform(1, length), 2)

    def times(of: str) -> int:
        return dice.choice((1, 2, 3)) if theme == of else dice.choice((0, 0, 0, 1))

    for _ in range(times("crashes")):
        (moment,) = dice.choices(list(_KILLS), list(_KILLS.values()))
        count = dice.randint(0, 120) if moment == "step" else dice.choice((1, 1, 2, 4))
        found.append(Kill(at(), dice.randrange(4), moment, count))
    for _ in range(times("stalls")):
        moment = dice.choice(_STALLS)
        found.append(_stall(dice, at(), moment))
    if theme == "sweeps":
        found += [_stall(dice, round(30 * dice.random(), 2), "overdue") for _ in range(2)]
    for _ in range(times("deploys")):
        found.append(Drain(at(), dice.randrange(4), dice.random() < 0.6))
        found.append(Start(at(), old=theme == "deploys" and dice.random() < 0.3))
    return found


def _stall(dice: random.Random, at: float, moment: Moment) -> Stall:
    seconds = round(dice.choice((0.5, 5, 15, 30, 60)) * dice.uniform(0.5, 1.2), 1)
    return Stall(at, dice.randrange(4), seconds, moment, dice.choice((1, 1, 2)))
