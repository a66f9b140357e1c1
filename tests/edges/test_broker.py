"""The broker's edge where aiokafka's client does what no cluster can be made to do at will."""

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from stream.broker import KafkaBroker, KafkaConfig
from stream.ports import Place


class SlowConsumer:
    """aiokafka's consumer in a rebalance: getmany() returns when partitions are assigned anew."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.assigned_anew = asyncio.Event()

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[Any]]:
        self.asked.set()
        await self.assigned_anew.wait()
        record = SimpleNamespace(
            topic="t", partition=0, offset=7, timestamp=0, key=b"call", value=b"{}", headers=()
        )
        return {TopicPartition("t", 0): [record]}


class Rebalancing(KafkaBroker):
    """The broker of a group that `consumer` is a member of."""

    def __init__(self, consumer: SlowConsumer) -> None:
        super().__init__(KafkaConfig("localhost:1", "group", "t"), lambda: None)
        self._consumer = consumer


async def test_a_revocation_does_not_wait_for_a_pull_that_waits_for_it() -> None:
    """Both end, and what the pull then brings is of the new generation, so that it is judged."""
    consumer = SlowConsumer()
    broker = Rebalancing(consumer)
    places = [TopicPartition("t", 0)]
    await broker.on_partitions_assigned(places)
    pull = asyncio.create_task(broker.pull())
    await consumer.asked.wait()
    async with asyncio.timeout(20):
        await broker.on_partitions_revoked(places)
        await broker.on_partitions_assigned(places)
        consumer.assigned_anew.set()
        chunk = await pull

    assert broker.generation == chunk.generation
    assert {Place("t", 0): 8} == chunk.committable
