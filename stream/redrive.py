"""`python -m stream redrive` at Kafka: counts dead letters by cause, and sends one cause back.

Each cause has a consumer group of its own, `<group>.<cause>`, whose committed offsets are how far
its letters have been moved. Nobody joins these groups, so two runs for one cause at once move its
letters twice. Moving is at least once: offsets are committed after the acknowledgements, and a run
that dies in between moves up to one chunk again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from stream.access import Access
from stream.closing import close_consumer, close_producer
from stream.deadletters import FOREIGN, Cause, Count, Route, counted, read_letter, take
from stream.errors import ConfigurationError, KcguardError, TransientError
from stream.ports import Chunk, Message, Record
from stream.wire import received, send


@dataclass(frozen=True)
class RedriveConfig:
    """Where the dead letters are, where they may go, and how long Kafka may take for one step."""

    bootstrap_servers: str
    dead_letters_topic: str
    parking_topic: str
    group: str
    max_attempts: int
    chunk_records: int = 256
    step_seconds: float = 30.0
    stop_seconds: float = 5.0
    # Holds the password.
    connection: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass
class Moved:
    """How many letters of a cause went where."""

    sent: int = 0
    parked: int = 0


class Redriver:
    """The dead letters of one cluster.

    Every step has a deadline. Raises ConfigurationError for what the caller can mend,
    BrokerUnavailableError where Kafka does not answer in time.
    """

    def __init__(self, config: RedriveConfig) -> None:
        self._config = config
        self._access = Access(
            config.bootstrap_servers, config.connection, (config.dead_letters_topic,)
        )

    async def survey(self) -> dict[str, Count]:
        """Return the counts of all dead letters by cause; reads the whole topic, changes nothing.

        What waits of a cause is what stands behind its group's committed offsets.
        """
        places = await self._places()
        counts: dict[str, Count] = {}
        progress: dict[str, Mapping[TopicPartition, int]] = {FOREIGN: dict.fromkeys(places, 0)}
        async with self._consumer() as consumer:
            ends = await self._begin(consumer, places)
            while records := await self._pull(consumer, ends):
                for record in records:
                    letter = read_letter(record)
                    cause = str(letter.cause) if letter else FOREIGN
                    if cause not in progress:
                        progress[cause] = await self._progress(cause, places)
                    waits = record.offset >= progress[cause][TopicPartition(*record.place)]
                    so_far = counts.get(cause, Count())
                    counts[cause] = counted(
                        so_far, record, letter, waits, self._config.max_attempts
                    )
        return counts

    async def send_back(self, cause: Cause, limit: int | None = None) -> Moved:
        """Move the letters of `cause` that wait, at most `limit`, up to the ends seen at first."""
        config, moved = self._config, Moved()
        if len({cause.topic, config.dead_letters_topic, config.parking_topic}) < 3:
            raise ConfigurationError(
                "source topic, dead letters topic and parking topic must be three topics; "
                "check KCGUARD_DEAD_LETTERS_TOPIC and KCGUARD_PARKING_TOPIC"
            )
        places = await self._places(cause.topic, config.parking_topic)
        route = Route(cause, config.parking_topic, config.max_attempts)
        async with self._consumer(self._group(cause)) as consumer, self._producer() as producer:
            ends = await self._begin(consumer, places, from_committed=True)
            try:
                while limit != 0 and (records := await self._pull(consumer, ends)):
                    taken, messages = take(records, route, limit)
                    await self._publish(producer, messages)
                    await self._commit(consumer, taken)
                    parked = sum(message.topic == config.parking_topic for message in messages)
                    moved.parked += parked
                    moved.sent += len(messages) - parked
                    limit = None if limit is None else limit - len(messages)
            except KcguardError as error:
                raise type(error)(
                    f"{error}; {moved.sent + moved.parked} letters had been moved. The same "
                    f"command goes on there and may move up to {config.chunk_records} again"
                ) from error
        return moved

    def _group(self, cause: Cause | str) -> str:
        return f"{self._config.group}.{cause}"

    # -- steps -------------------------------------------------------------------------------------

    async def _places(self, *others: str) -> list[TopicPartition]:
        """Return the partitions of the dead letters; raise where they or one of `others` are not.

        Asks for all topics: a question for one would make it, on a broker that makes topics.
        """
        admin_client = self._running(AIOKafkaAdminClient, _close_admin)
        async with admin_client as admin, self._step("list the topics"):
            topics = {topic["topic"]: topic for topic in await admin.describe_topics()}
        name = self._config.dead_letters_topic
        for needed in (name, *others):
            if needed not in topics:
                raise ConfigurationError(
                    f"no topic {needed}, or our user may not see it; make it, or check the name "
                    "(KCGUARD_DEAD_LETTERS_TOPIC, KCGUARD_PARKING_TOPIC, --send)"
                )
        numbers = sorted(partition["partition"] for partition in topics[name]["partitions"])
        return [TopicPartition(name, number) for number in numbers]

    async def _begin(
        self, consumer: Any, places: Sequence[TopicPartition], from_committed: bool = False
    ) -> dict[TopicPartition, int]:
        """Place `consumer` where it is to begin; return the ends, where reading will stop."""
        async with self._step("find the ends of the dead letters"):
            consumer.assign(places)
            firsts = await consumer.beginning_offsets(places)
            ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
            for place, first in firsts.items():
                committed = (await consumer.committed(place) or 0) if from_committed else 0
                # Past the end: of a topic of this name that has been deleted since.
                consumer.seek(place, first if committed > ends[place] else max(committed, first))
        return ends

    async def _progress(
        self, cause: str, places: Sequence[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Return the offset by partition up to which the letters of `cause` have been moved."""
        async with self._consumer(self._group(cause)) as consumer:
            await self._begin(consumer, places, from_committed=True)
            return {place: await consumer.position(place) for place in places}

    async def _pull(self, consumer: Any, ends: Mapping[TopicPartition, int]) -> list[Record]:
        """Return the next records before `ends`; none once every partition is read up to there."""
        async with self._step("read the dead letters"):
            # By position: before an end may stand no record (but a transaction's marker).
            while left := [p for p, end in ends.items() if await consumer.position(p) < end]:
                fetched = await consumer.getmany(
                    *left, timeout_ms=500, max_records=self._config.chunk_records
                )
                records = received(
                    message
                    for place, messages in fetched.items()
                    for message in messages
                    if message.offset < ends[place]
                )
                if records:
                    return records
        return []

    async def _publish(self, producer: Any, messages: Sequence[Message]) -> None:
        """Return once every message is acknowledged by all replicas, in order per key."""
        async with self._step("write to the source and the parking topic"):
            await send(producer, messages)

    async def _commit(self, consumer: Any, taken: Sequence[Record]) -> None:
        committable = Chunk(taken, generation=0).committable
        async with self._step("commit the progress of the cause"):
            await consumer.commit({TopicPartition(*place): at for place, at in committable.items()})

    @asynccontextmanager
    async def _step(self, what: str) -> AsyncIterator[None]:
        """Bound a step in time, and say which one failed and why."""
        try:
            async with asyncio.timeout(self._config.step_seconds):
                yield
        except MessageSizeTooLargeError as error:
            raise ConfigurationError(
                f"could not {what}: a letter is larger than a record may be there; raise the "
                "topic's max.message.bytes"
            ) from error
        except (KafkaError, TimeoutError) as error:
            raise await self._access.fault(f"could not {what}", error) from error

    # -- connecting --------------------------------------------------------------------------------

    def _consumer(self, group: str | None = None) -> AbstractAsyncContextManager[Any]:
        """A consumer that joins no group; with `group` it reads and commits its offsets."""
        options = {"enable_auto_commit": False, "auto_offset_reset": "earliest"}
        return self._running(AIOKafkaConsumer, close_consumer, group_id=group, **options)

    def _producer(self) -> AbstractAsyncContextManager[Any]:
        return self._running(
            AIOKafkaProducer,
            close_producer,
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            # How large a record may be is for the topics to say.
            max_request_size=64 * 1024 * 1024,
        )

    @asynccontextmanager
    async def _running(
        self, make: Any, close: Callable[[Any, float], Awaitable[None]], **options: Any
    ) -> AsyncIterator[Any]:
        """Make and start a client, and close it at the end, for a bounded time each."""
        config = self._config
        client = make(
            bootstrap_servers=config.bootstrap_servers,
            request_timeout_ms=int(config.step_seconds * 1000),
            **config.connection,
            **options,
        )
        try:
            try:
                async with asyncio.timeout(config.step_seconds):
                    await self._access.check()
                    await client.start()
            except (KafkaError, TransientError, TimeoutError) as error:
                raise self._access.no_start(error) from error
            yield client
        finally:
            # Nothing is owed any more: what was sent is acknowledged, what was done is committed.
            await close(client, config.stop_seconds)


async def _close_admin(admin: Any, seconds: float) -> None:
    with suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(seconds):
            await admin.close()
