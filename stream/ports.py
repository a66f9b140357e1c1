"""What the worker needs of the world, and the values that cross the border.

The worker owns these interfaces; the edges satisfy them, and so do the fakes of the tests.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from stream.health import Sign

Headers = Sequence[tuple[str, bytes]]


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """What Kafka holds: bytes at a place. `timestamp` is in milliseconds since 1970."""

    place: Place
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True)
class Chunk:
    """Records pulled together and committed together, in the order of their offsets.

    `generation` is the broker's at the time of the pull: a chunk of an older one was revoked.
    """

    records: Sequence[Record]
    generation: int

    @property
    def committable(self) -> Mapping[Place, int]:
        """The next offset to read, by partition. Nowhere else is `offset + 1` computed."""
        return {record.place: record.offset + 1 for record in self.records}


@dataclass(frozen=True, slots=True)
class Message:
    """What the worker publishes."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class Broker(Protocol):
    """At-least-once access to Kafka. Every method may raise BrokerUnavailableError."""

    @property
    def generation(self) -> int:
        """Counts revocations; a chunk of an older generation must not be begun."""

    @property
    def assigned(self) -> bool:
        """Whether the group has told this member its partitions (there may be none)."""

    async def start(self, drain: Callable[[], Awaitable[None]]) -> None:
        """Connect and join. `drain` is awaited, for a bounded time, before partitions go."""

    async def pull(self) -> Chunk:
        """Return the next records, waiting a short time for them; maybe none. Never cancelled."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return once every message is acknowledged by all replicas, in order per key."""

    async def commit(self, chunk: Chunk) -> bool:
        """Commit what `chunk` carries; False where it was revoked meanwhile and nothing was."""

    async def stop(self) -> None:
        """Leave the group; bounded, never raises."""


@dataclass(frozen=True)
class Scored:
    """The model's answer to n texts."""

    scores: npt.NDArray[np.float32]
    """[n, labels], each row adding up to 1, finite."""
    empty: npt.NDArray[np.bool_]
    """[n], true where nothing was left of the text after normalisation: 정상 without the model."""
    truncated: int = 0
    tokenise_seconds: float = 0.0
    infer_seconds: float = 0.0


class Scorer(Protocol):
    """The model, called from one thread at a time."""

    def score(self, texts: Sequence[str]) -> Scored:
        """Score raw texts, blocking for as long as the model takes.

        Raises ModelFaultError where the model fails, FatalError where its answer does not fit.
        """


Stage = Literal["wait", "parse", "tokenise", "infer", "publish", "commit"]
Outcome = Literal["judged", "empty", "skipped_partial", "skipped_role", "dead_lettered"]


class Observer(Protocol):
    """Where the worker reports what it did; never raises, never blocks, from any thread."""

    def stage(self, stage: Stage, seconds: float) -> None: ...
    def chunk(self, records: int, lag_seconds: float) -> None: ...
    def outcome(self, outcome: Outcome) -> None: ...
    def flag(self, label_code: str, latency_seconds: float) -> None: ...
    def dead_letter(self, disposition: str) -> None: ...
    def truncated(self, texts: int) -> None: ...
    def rebalance(self) -> None: ...
    def publish_retry(self) -> None: ...
    def second_view(self, changed: bool) -> None: ...
    def transcript(self, sign: Sign) -> None: ...
    def reload(self, succeeded: bool) -> None: ...


@dataclass
class Readiness:
    """What must hold before the worker counts as ready; read by the HTTP edge."""

    warm: bool = False
    assigned: Callable[[], bool] = field(default=lambda: False)
    publishable: bool = True

    def missing(self) -> list[str]:
        """Return the names of what does not hold yet."""
        states = {
            "warm": self.warm,
            "assigned": self.assigned(),
            "publishable": self.publishable,
        }
        return [name for name, holds in states.items() if not holds]
