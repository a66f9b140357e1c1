"""The two brokers that the contract suite runs against, behind one small interface."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from stream.broker import KafkaBroker, KafkaConfig
from stream.ports import Broker, Message, Place, Record
from tests.fakes import MemoryBroker, MemoryCluster


class Backend(Protocol):
    """A Kafka, as a test sees it from outside."""

    def create(self, partitions: int = 1) -> str:
        """Make a topic and return its name."""

    def broker(self, topic: str, drain_seconds: float = 5.0) -> Broker:
        """Return an adapter, not yet started, for one member of the test's group."""

    async def produce(self, topic: str, messages: list[Message]) -> None:
        """Write records, in order."""

    async def read(self, topic: str) -> list[Record]:
        """Return every record of a topic, by partition and offset."""


class MemoryBackend:
    """`tests.fakes`."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self._topics = 0

    def create(self, partitions: int = 1) -> str:
        self._topics += 1
        return self.cluster.create(f"topic-{self._topics}", partitions)

    def broker(self, topic: str, drain_seconds: float = 5.0) -> Broker:
        return MemoryBroker(self.cluster, topic, drain_seconds=drain_seconds)

    async def produce(self, topic: str, messages: list[Message]) -> None:
        for message in messages:
            self.cluster.append(topic, message.value, message.key, message.headers)

    async def read(self, topic: str) -> list[Record]:
        return self.cluster.records(topic)


class KafkaBackend:
    """`stream.broker` on a real Kafka."""

    def __init__(self, bootstrap_servers: str, topics: Callable[..., str]) -> None:
        self._servers = bootstrap_servers
        self._topics = topics

    def create(self, partitions: int = 1) -> str:
        return self._topics(partitions)

    def broker(self, topic: str, drain_seconds: float = 5.0) -> Broker:
        config = KafkaConfig(
            bootstrap_servers=self._servers,
            group_id=f"group-of-{topic}",
            topic=topic,
            max_chunk_records=10,
            drain_seconds=drain_seconds,
            session_timeout_ms=6_000,
        )
        return KafkaBroker(config, on_rebalance=lambda: None)

    async def produce(self, topic: str, messages: list[Message]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self._servers) as producer:
            for message in messages:
                await producer.send_and_wait(
                    topic, message.value, message.key, headers=list(message.headers)
                )

    async def read(self, topic: str) -> list[Record]:
        async with AsyncExitStack() as stack:
            consumer = await stack.enter_async_context(
                AIOKafkaConsumer(bootstrap_servers=self._servers, auto_offset_reset="earliest")
            )
            await consumer._client.force_metadata_update()
            while not (partitions := consumer.partitions_for_topic(topic)):
                consumer._client.add_topic(topic)
                await consumer._client.force_metadata_update()
            places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            records: dict[TopicPartition, list[Record]] = {place: [] for place in places}
            async with asyncio.timeout(30):
                while sum(map(len, records.values())) < sum(ends.values()):
                    for place, messages in (await consumer.getmany(timeout_ms=200)).items():
                        records[place] += [
                            Record(
                                Place(message.topic, message.partition),
                                message.offset,
                                message.timestamp,
                                message.key,
                                message.value,
                                message.headers,
                            )
                            for message in messages
                        ]
            return [record for place in places for record in records[place]]
