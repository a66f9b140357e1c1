"""What the worker relies on, of any broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from stream.errors import ConfigurationError
from stream.ports import Broker, Chunk, Message
from tests.contract.backends import Backend, KafkaBackend, MemoryBackend


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param == "memory":
        return MemoryBackend()
    return KafkaBackend(request.getfixturevalue("kafka"), request.getfixturevalue("topics"))


def message(number: int, key: bytes | None = b"call") -> Message:
    return Message("", key, b"%d" % number, [("number", b"%d" % number)])


async def no_drain() -> None:
    return


@asynccontextmanager
async def member(broker: Broker) -> AsyncIterator[Broker]:
    """A member of the group for as long as the context lasts."""
    await broker.start(no_drain)
    try:
        yield broker
    finally:
        await broker.stop()


async def pull(broker: Broker, records: int) -> list[Chunk]:
    """Pull until `records` records came."""
    chunks: list[Chunk] = []
    async with asyncio.timeout(30):
        while sum(len(chunk.records) for chunk in chunks) < records:
            chunk = await broker.pull()
            chunks += [chunk] if chunk.records else []
    return chunks


def values(chunks: list[Chunk]) -> list[bytes | None]:
    return [record.value for chunk in chunks for record in chunk.records]


async def test_records_arrive_whole_and_in_order(backend: Backend) -> None:
    """A pull hands out key, value, headers and offset as they were written, in offset order."""
    topic = backend.create()
    await backend.produce(topic, [message(n) for n in range(25)])
    async with member(backend.broker(topic)) as broker:
        chunks = await pull(broker, 25)
    records = [record for chunk in chunks for record in chunk.records]

    assert [b"%d" % n for n in range(25)] == values(chunks)
    assert list(range(25)) == [record.offset for record in records]
    assert (b"call", [("number", b"3")]) == (records[3].key, list(records[3].headers))
    assert all(len(chunk.records) <= 10 for chunk in chunks)


async def test_missing_keys_and_values_stay_missing(backend: Backend) -> None:
    """A null key or value arrives as None."""
    topic = backend.create()
    await backend.produce(topic, [Message("", None, b"v", []), Message("", b"k", None, [])])
    async with member(backend.broker(topic)) as broker:
        chunks = await pull(broker, 2)
    records = [record for chunk in chunks for record in chunk.records]

    assert [(None, b"v"), (b"k", None)] == [(record.key, record.value) for record in records]


async def test_the_next_member_begins_after_the_commit(backend: Backend) -> None:
    """What was committed is not handed out again; what was not, is."""
    topic = backend.create()
    await backend.produce(topic, [message(n) for n in range(20)])
    async with member(backend.broker(topic)) as broker:
        chunks = await pull(broker, 20)
        assert await broker.commit(chunks[0])
    async with member(backend.broker(topic)) as broker:
        rest = await pull(broker, 20 - len(chunks[0].records))

    assert values(chunks[1:]) == values(rest)


async def test_published_messages_are_there_in_order(backend: Backend) -> None:
    """Once publish returns, its messages can be read: bytes, headers, and order per key."""
    topic, flags = backend.create(), backend.create(partitions=3)
    async with member(backend.broker(topic)) as broker:
        await broker.publish(
            [
                Message(flags, key, b"%d" % n, [("h", b"x")])
                for n in range(9)
                for key in (b"a", b"b")
            ]
        )
        await broker.publish([])
        read = await backend.read(flags)

    for key in (b"a", b"b"):
        assert [b"%d" % n for n in range(9)] == [r.value for r in read if r.key == key]
    assert [("h", b"x")] == list(read[0].headers)


async def test_a_newcomer_gets_its_share_after_a_drain(backend: Backend) -> None:
    """Before partitions go, the drain is awaited and may still commit; then both share."""
    topic = backend.create(partitions=2)
    broker = backend.broker(topic)
    chunks: list[Chunk] = []
    drained: list[bool] = []

    async def drain() -> None:
        for chunk in chunks:
            drained.append(await broker.commit(chunk))

    await broker.start(drain)
    await backend.produce(topic, [message(n, b"%d" % n) for n in range(20)])
    chunks += await pull(broker, 20)
    before = broker.generation
    newcomer = backend.broker(topic)
    starting = asyncio.create_task(newcomer.start(no_drain))
    async with asyncio.timeout(30):
        while not (broker.generation > before and broker.assigned and newcomer.assigned):
            await broker.pull()
    await starting
    at_first_rebalance = list(drained)
    await backend.produce(topic, [message(n, b"%d" % n) for n in range(100, 120)])
    seen: dict[str, list[bytes | None]] = {"old": [], "new": []}
    async with asyncio.timeout(30):
        while len(seen["old"]) + len(seen["new"]) < 20:
            seen["old"] += values([await broker.pull()])
            seen["new"] += values([await newcomer.pull()])
    await newcomer.stop()
    await broker.stop()

    assert [True] * len(chunks) == at_first_rebalance
    assert {b"%d" % n for n in range(100, 120)} == {*seen["old"], *seen["new"]}
    assert seen["old"]
    assert seen["new"]


async def test_a_revoked_chunk_cannot_be_committed(backend: Backend) -> None:
    """After the drain's end, a chunk of the older generation is refused, not committed."""
    topic = backend.create(partitions=2)
    broker = backend.broker(topic)
    await broker.start(no_drain)
    await backend.produce(topic, [message(n, b"%d" % n) for n in range(4)])
    chunks = await pull(broker, 4)
    before = broker.generation
    async with member(backend.broker(topic)):
        async with asyncio.timeout(30):
            while not (broker.generation > before and broker.assigned):
                await broker.pull()
        refused = [await broker.commit(chunk) for chunk in chunks]
    await broker.stop()

    assert [False] * len(chunks) == refused


async def test_stop_may_be_called_twice(backend: Backend) -> None:
    """Stopping what is stopped, or never started, does nothing."""
    broker = backend.broker(backend.create())
    await broker.stop()
    await broker.start(no_drain)
    await broker.stop()
    await broker.stop()


@pytest.mark.kafka
async def test_a_message_too_large_for_kafka_stops(kafka: str, topics: Callable[..., str]) -> None:
    """A message that no retry can deliver is no transient fault, and the remedy is named."""
    backend = KafkaBackend(kafka, topics)
    topic = backend.create()
    async with member(backend.broker(topic)) as broker:
        with pytest.raises(ConfigurationError, match="KCGUARD_MAX_RECORD_BYTES"):
            await broker.publish([Message(topic, b"call", b"x" * 2_000_000, [])])
