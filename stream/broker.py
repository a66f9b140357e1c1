"""Kafka as the worker sees it: the only file that knows aiokafka.

What aiokafka 0.14 does that shapes this file:
- cancelling `getmany()` leaks its fetch count, so it is given a time-out and never cancelled;
- `getmany()` outlasts its time-out while partitions change hands: a revocation never waits for it;
- a deserialiser that raises makes the client refetch the batch for ever, so bytes stay bytes;
- a bare `commit()` commits whatever was fetched, so offsets are always given;
- sends can hang when the broker is gone, so each has a deadline of ours; so can the end: see
  `stream.closing`;
- a batch that an idempotent producer gives up leaves a gap in its sequence, so a producer that
  failed once is replaced;
- a member that has been idle for `max_poll_interval_ms` skips its rejoin and is locked out. Our
  own watch on progress does that limit's work, so the limit is set out of reach;
- a connection that fails is tried again for ever and its reason only logged: see `stream.access`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    MessageSizeTooLargeError,
    RebalanceInProgressError,
)

from stream.access import Access
from stream.closing import close_consumer, close_producer
from stream.errors import ConfigurationError, TransientError
from stream.ports import Chunk, Message
from stream.wire import received, send

log = logging.getLogger(__name__)

_NEVER_MS = 24 * 3600 * 1000
# Ten times a second, the default, is a storm where what fails is each connection.
_RETRY_MS = 500


@dataclass(frozen=True)
class KafkaConfig:
    """How to reach the broker and how much to take at once."""

    bootstrap_servers: str
    group_id: str
    topic: str
    written_topics: Sequence[str] = ()
    group_instance_id: str | None = None
    auto_offset_reset: str = "earliest"
    max_chunk_records: int = 256
    poll_seconds: float = 0.2
    # Small: getmany() empties one partition before the next, and a lagging one must not starve
    # the others.
    max_partition_fetch_bytes: int = 256 * 1024
    drain_seconds: float = 20.0
    publish_seconds: float = 30.0
    stop_seconds: float = 5.0
    # A join waits for each other member's drain, and may have to begin anew.
    start_seconds: float = 120.0
    session_timeout_ms: int = 15_000
    # Holds the password.
    connection: dict[str, Any] = field(default_factory=dict, repr=False)


class KafkaBroker(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """`ports.Broker` on a Kafka cluster, for one consumer group member."""

    def __init__(self, config: KafkaConfig, on_rebalance: Callable[[], None]) -> None:
        self._config = config
        self._on_rebalance = on_rebalance
        self._drain: Callable[[], Awaitable[None]] | None = None
        self._consumer: Any = None
        self._producer: Any = None
        self._generation = 0
        self._oldest_committable = 0
        self._assigned = asyncio.Event()
        self._access = Access(
            config.bootstrap_servers, config.connection, (config.topic, *config.written_topics)
        )

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def assigned(self) -> bool:
        return self._assigned.is_set()

    async def start(self, drain: Callable[[], Awaitable[None]]) -> None:
        self._drain = drain
        config = self._config
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=config.bootstrap_servers,
            group_id=config.group_id,
            group_instance_id=config.group_instance_id,
            auto_offset_reset=config.auto_offset_reset,
            enable_auto_commit=False,
            max_partition_fetch_bytes=config.max_partition_fetch_bytes,
            # A broker answers as soon as there is a record; librdkafka's mock one does not, and
            # would hold each flag of the demo back for the default half second.
            fetch_max_wait_ms=100,
            session_timeout_ms=config.session_timeout_ms,
            heartbeat_interval_ms=config.session_timeout_ms // 5,
            rebalance_timeout_ms=int(config.drain_seconds * 1000) + 10_000,
            max_poll_interval_ms=_NEVER_MS,
            retry_backoff_ms=_RETRY_MS,
            **config.connection,
        )
        self._consumer.subscribe([config.topic], listener=self)
        try:
            await self._access.check()
            async with asyncio.timeout(config.start_seconds):
                await self._consumer.start()
                self._producer = await self._new_producer()
        except ConfigurationError:
            await self.stop()
            raise
        except (KafkaError, TransientError, TimeoutError) as error:
            await self.stop()
            raise self._access.no_start(error) from error
        self._access.heard()

    async def _new_producer(self) -> Any:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._config.bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            request_timeout_ms=int(self._config.publish_seconds * 1000),
            retry_backoff_ms=_RETRY_MS,
            **self._config.connection,
        )
        try:
            async with asyncio.timeout(self._config.publish_seconds):
                await producer.start()
        except BaseException:
            await close_producer(producer, self._config.stop_seconds)
            raise
        return producer

    # -- reading -------------------------------------------------------------------------------

    async def pull(self) -> Chunk:
        try:
            chunk = await self._fetch()
        except KafkaError as error:
            raise await self._access.fault("pull", error) from error
        if not chunk.records:
            fetches = map(self._consumer.last_poll_timestamp, self._consumer.assignment())
            await self._access.check_silence(min((at or 0 for at in fetches), default=0) / 1000)
        return chunk

    async def _fetch(self) -> Chunk:
        if not self._assigned.is_set():
            # What went wrong with the group is kept for the next getmany(), which would wait for
            # the assignment first.
            self._consumer._coordinator.check_errors()
            await self._wait_for_assignment()
            return Chunk((), self._generation)
        fetched = await self._consumer.getmany(
            timeout_ms=int(self._config.poll_seconds * 1000),
            max_records=self._config.max_chunk_records,
        )
        records = received(message for messages in fetched.values() for message in messages)
        # Read here and not before: getmany() hands records out in one step with this line, and none
        # while partitions change hands, so they are of the assignment that this generation names.
        return Chunk(records, self._generation)

    async def _wait_for_assignment(self) -> None:
        try:
            async with asyncio.timeout(self._config.poll_seconds):
                await self._assigned.wait()
        except TimeoutError:
            return

    async def commit(self, chunk: Chunk) -> bool:
        if chunk.generation < self._oldest_committable:
            return False
        offsets = {TopicPartition(*place): at for place, at in chunk.committable.items()}
        try:
            async with asyncio.timeout(self._config.publish_seconds):
                await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError, RebalanceInProgressError):
            return False
        except (KafkaError, TimeoutError) as error:
            raise await self._access.fault("commit", error) from error
        return True

    # -- rebalancing ---------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Let the chunk in flight finish and commit, for a bounded time; then it may not any more.

        Called by aiokafka before the group is joined anew, while heartbeats go on.
        """
        self._assigned.clear()
        # Without waiting for a pull under way: getmany() may itself be waiting for what comes after
        # this, whatever its time-out says.
        self._generation += 1
        if revoked and self._drain:
            self._on_rebalance()
            try:
                async with asyncio.timeout(self._config.drain_seconds):
                    await self._drain()
            except TimeoutError:
                log.warning("revoked before the chunk in flight was done; it will be redelivered")
        self._oldest_committable = self._generation

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        log.info("assigned %d partitions", len(assigned))
        self._access.heard()
        self._assigned.set()

    # -- writing -------------------------------------------------------------------------------

    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        try:
            async with asyncio.timeout(self._config.publish_seconds):
                if self._producer is None:
                    self._producer = await self._new_producer()
                await send(self._producer, messages)
        except MessageSizeTooLargeError as error:
            # No retry makes it smaller, and the chunk behind it would wait for ever.
            raise ConfigurationError(
                "Kafka refuses a message of ours as too large; raise max.message.bytes of flags "
                "and dead letters, or lower KCGUARD_MAX_RECORD_BYTES"
            ) from error
        except (KafkaError, TimeoutError) as error:
            producer, self._producer = self._producer, None
            if producer is not None:
                await close_producer(producer, self._config.stop_seconds)
            raise await self._access.fault("publish", error) from error

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        consumer, self._consumer = self._consumer, None
        if producer is not None:
            await close_producer(producer, self._config.stop_seconds)
        if consumer is not None:
            await close_consumer(consumer, self._config.stop_seconds)
