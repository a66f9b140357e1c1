"""Records and messages as they cross between us and aiokafka's clients, whoever holds these."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from stream.ports import Message, Place, Record


def received(messages: Iterable[Any]) -> list[Record]:
    """Return what aiokafka fetched as records, in its order; a header without value is empty."""
    return [
        Record(
            Place(message.topic, message.partition),
            message.offset,
            message.timestamp,
            message.key,
            message.value,
            tuple((name, value or b"") for name, value in message.headers),
        )
        for message in messages
    ]


async def send(producer: Any, messages: Sequence[Message]) -> None:
    """Return once every message is acknowledged; raises KafkaError. Set a deadline around it.

    They are handed over one after another: the order within a key is the order of `messages`.
    """
    acknowledgements = [
        await producer.send(
            message.topic, key=message.key, value=message.value, headers=list(message.headers)
        )
        for message in messages
    ]
    await asyncio.gather(*acknowledgements)
