"""What is broken, in which order, and for how long. Pure: the seed decides everything."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can be broken."""

    KILL = "kill"
    """`kill -9` of a worker, wherever it happens to be."""
    KILL_PULLED = "kill_pulled"
    """A worker dies with records pulled and nothing done."""
    KILL_INFERRING = "kill_inferring"
    """... in the middle of a batch."""
    KILL_PUBLISHING = "kill_publishing"
    """... while its flags are on their way."""
    KILL_PUBLISHED = "kill_published"
    """... with every flag acknowledged and nothing committed."""
    KILL_COMMITTING = "kill_committing"
    """... while its commit is on its way."""
    FREEZE = "freeze"
    """A worker is stopped for longer than its session, and comes back as a zombie."""
    TERMINATE = "terminate"
    """SIGTERM under load."""
    JOIN_AND_LEAVE = "join_and_leave"
    """A worker joins, works, and leaves in good order."""
    CROWD = "crowd"
    """For a while there are more workers than partitions."""
    ROLL = "roll"
    """Every worker is replaced, one after another."""
    BROKER_KILL = "broker_kill"
    """`kill -9` of the broker, and its return."""
    BROKER_FREEZE = "broker_freeze"
    """The broker keeps its connections and answers nothing."""
    CUT = "cut"
    """The network swallows all bytes; connections that lost some never answer again."""
    STALL = "stall"
    """The network holds all bytes back, and delivers them late."""
    DELAY = "delay"
    """The network is slow."""
    RESET = "reset"
    """Connections are reset, new ones as well."""


KILLS_AT_A_STAGE = {
    Kind.KILL_PULLED: "pulled",
    Kind.KILL_INFERRING: "inferring",
    Kind.KILL_PUBLISHING: "publishing",
    Kind.KILL_PUBLISHED: "published",
    Kind.KILL_COMMITTING: "committing",
}
NETWORK = (Kind.CUT, Kind.STALL, Kind.DELAY, Kind.RESET)
ENDS_WORKERS = (Kind.KILL, *KILLS_AT_A_STAGE, Kind.TERMINATE)
QUICK = (Kind.KILL, *KILLS_AT_A_STAGE, Kind.FREEZE, Kind.TERMINATE, Kind.STALL, Kind.BROKER_KILL)
"""Ten kinds that a test has time for; CUT alone takes the 40 s of a client's request time-out."""


@dataclass(frozen=True)
class Fault:
    """One thing that is broken.

    `slots` are the workers hit: one, or all where the network fails everybody. `seconds` is how
    long it lasts, 0 where it is over at once. Where `settle` is false the next fault does not wait
    for the recovery from this one.
    """

    kind: Kind
    slots: Sequence[int]
    seconds: float
    settle: bool


def schedule(
    seed: int,
    count: int,
    workers: int,
    session_seconds: float,
    longest_seconds: float = 30.0,
    spared: int | None = None,
    kinds: Sequence[Kind] = tuple(Kind),
    hurried: float = 0.25,
) -> Iterator[Fault]:
    """Yield `count` faults; every kind comes round before any comes again.

    `longest_seconds` bounds how long the broker is frozen. A share `hurried` of the faults does not
    settle; the last one does. No worker in slot `spared` is made to end, so that one lives long
    enough to show a leak.
    """
    dice = random.Random(seed)
    deck: list[Kind] = []
    for number in range(count):
        if not deck:
            deck = dice.sample(kinds, len(kinds))
        kind = deck.pop()
        mortal = [slot for slot in range(workers) if slot != spared]
        everybody = kind is Kind.ROLL or (kind in NETWORK and dice.random() < 1 / 3)
        candidates = mortal if kind in ENDS_WORKERS or kind is Kind.ROLL else range(workers)
        slots = tuple(candidates) if everybody else (dice.choice(candidates),)
        low, high = _length(kind, session_seconds, longest_seconds)
        seconds = round(dice.uniform(low, high), 2)
        settle = dice.random() >= hurried or number == count - 1
        yield Fault(kind, slots, seconds, settle)


def _length(kind: Kind, session: float, longest: float) -> tuple[float, float]:
    """Return the shortest and the longest that a fault of `kind` may last, in seconds."""
    match kind:
        case Kind.FREEZE:
            return session + 2, 2 * session + 2
        case Kind.CUT | Kind.STALL:
            return 1, 2 * session
        case Kind.DELAY | Kind.CROWD:
            return 3, 8
        case Kind.RESET | Kind.JOIN_AND_LEAVE:
            return 0, 3
        case Kind.BROKER_FREEZE:
            return 2, longest
        case Kind.BROKER_KILL:
            return 0, 2
        case _:
            return 0, 0
