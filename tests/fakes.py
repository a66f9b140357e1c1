"""Doubles of the world that satisfy the worker's ports: Kafka in memory, a model of words."""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from stream.errors import BrokerUnavailableError
from stream.health import Sign
from stream.ports import Chunk, Message, Outcome, Place, Record, Scored, Stage


class MemoryCluster:
    """Topics, committed offsets and groups in memory; rebalances as Kafka's eager protocol does."""

    def __init__(self) -> None:
        self.topics: dict[str, list[list[Record]]] = {}
        self.committed: dict[tuple[str, Place], int] = {}
        self.members: dict[str, list[MemoryBroker]] = defaultdict(list)
        self._rebalancing = asyncio.Lock()

    def create(self, topic: str, partitions: int = 1) -> str:
        self.topics[topic] = [[] for _ in range(partitions)]
        return topic

    def append(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = b"call",
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp: int = 0,
        partition: int | None = None,
    ) -> Record:
        """Add a record; without `partition` the key picks it, as a producer would."""
        logs = self.topics.setdefault(topic, [[]])
        at = sum(key or b"") % len(logs) if partition is None else partition
        record = Record(Place(topic, at), len(logs[at]), timestamp, key, value, tuple(headers))
        logs[at].append(record)
        return record

    def records(self, topic: str) -> list[Record]:
        return [record for log in self.topics.get(topic, []) for record in log]

    async def rebalance(self, group: str) -> None:
        """Take every partition away, with a drain, and hand all out anew."""
        async with self._rebalancing:
            members = list(self.members[group])
            await asyncio.gather(*(member.revoke() for member in members))
            for number, member in enumerate(self.members[group]):
                places = [
                    Place(member.topic, partition)
                    for partition in range(len(self.topics[member.topic]))
                    if partition % len(self.members[group]) == number
                ]
                member.assign(places)


class MemoryBroker:
    """`ports.Broker` on a `MemoryCluster`, for one member of a group."""

    def __init__(
        self,
        cluster: MemoryCluster,
        topic: str,
        group: str = "group",
        max_chunk_records: int = 10,
        drain_seconds: float = 5.0,
    ) -> None:
        self.cluster = cluster
        self.topic = topic
        self.group = group
        self.fail_publishes = 0
        self.fail_commits = 0
        self.fail_pulls = 0
        self.rebalances = 0
        self._max_chunk_records = max_chunk_records
        self._drain_seconds = drain_seconds
        self._drain: Callable[[], Awaitable[None]] | None = None
        self._generation = 0
        self._oldest_committable = 0
        self._positions: dict[Place, int] = {}
        self._assigned = False
        self._revoked_for_good = False

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def assigned(self) -> bool:
        return self._assigned

    async def start(self, drain: Callable[[], Awaitable[None]]) -> None:
        self._drain = drain
        self.cluster.members[self.group].append(self)
        await self.cluster.rebalance(self.group)

    async def pull(self) -> Chunk:
        # A real pull waits for the network; giving way here lets the other tasks run as well.
        await asyncio.sleep(0)
        if self.fail_pulls:
            self.fail_pulls -= 1
            raise BrokerUnavailableError
        records: list[Record] = []
        for place, position in self._positions.items():
            log = self.cluster.topics[place.topic][place.partition]
            taken = log[position : position + self._max_chunk_records - len(records)]
            records += taken
            self._positions[place] += len(taken)
        return Chunk(records, self._generation)

    async def publish(self, messages: Sequence[Message]) -> None:
        await asyncio.sleep(0)
        for message in messages:
            self.cluster.append(message.topic, message.value, message.key, message.headers)
            # Fails half-way: what was acknowledged stays, as on a real broker.
            if self.fail_publishes:
                self.fail_publishes -= 1
                raise BrokerUnavailableError

    async def commit(self, chunk: Chunk) -> bool:
        await asyncio.sleep(0)
        if self.fail_commits:
            self.fail_commits -= 1
            raise BrokerUnavailableError
        if chunk.generation < self._oldest_committable or self._revoked_for_good:
            return False
        for place, offset in chunk.committable.items():
            self.cluster.committed[self.group, place] = offset
        return True

    async def stop(self) -> None:
        if self in self.cluster.members[self.group]:
            self.cluster.members[self.group].remove(self)
            self._assigned = False
            await self.cluster.rebalance(self.group)

    async def crash(self) -> None:
        """Die without a word: no drain, no commit, no goodbye; the rest of the group goes on."""
        self._revoked_for_good = True
        self._positions = {}
        self.cluster.members[self.group].remove(self)
        await self.cluster.rebalance(self.group)

    async def revoke(self) -> None:
        self._assigned = False
        had, self._positions = self._positions, {}
        self._generation += 1
        if had and self._drain:
            self.rebalances += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._drain_seconds):
                    await self._drain()
        self._oldest_committable = self._generation

    def assign(self, places: Sequence[Place]) -> None:
        self._positions = {
            place: self.cluster.committed.get((self.group, place), 0) for place in places
        }
        self._assigned = True


class WordScorer:
    """`ports.Scorer` that reads its scores off the text: 욕 and 시 are 욕설, 성 is 성희롱."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.before: Callable[[], None] = lambda: None

    def score(self, texts: Sequence[str]) -> Scored:
        self.before()
        self.texts += texts
        abuse = (0.05, 0.9, 0.05)
        rows = {"욕": abuse, "시": abuse, "성": (0.05, 0.05, 0.9)}
        scores = [rows.get(text[:1], (0.9, 0.05, 0.05)) for text in texts]
        return Scored(
            np.array(scores, np.float32).reshape(-1, 3),
            np.array([not text.strip() for text in texts], np.bool_),
        )


class CountingObserver:
    """`ports.Observer` that keeps what it was told."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.dead_letters: Counter[str] = Counter()
        self.stages: Counter[str] = Counter()
        self.retries = 0
        self.rebalances = 0
        self.second_views: list[bool] = []
        self.signs: Counter[str] = Counter()
        self.reloads: list[bool] = []

    def stage(self, stage: Stage, seconds: float) -> None:
        self.stages[stage] += 1

    def chunk(self, records: int, lag_seconds: float) -> None:
        pass

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes[outcome] += 1

    def flag(self, label_code: str, latency_seconds: float) -> None:
        self.flags[label_code] += 1

    def dead_letter(self, disposition: str) -> None:
        self.dead_letters[disposition] += 1

    def truncated(self, texts: int) -> None:
        pass

    def rebalance(self) -> None:
        self.rebalances += 1

    def publish_retry(self) -> None:
        self.retries += 1

    def second_view(self, changed: bool) -> None:
        self.second_views.append(changed)

    def transcript(self, sign: Sign) -> None:
        self.signs[sign] += 1

    def reload(self, succeeded: bool) -> None:
        self.reloads.append(succeeded)
