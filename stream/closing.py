"""Ends aiokafka's clients: within a time, and without an error, whatever the broker does.

aiokafka 0.14 may wait for ever for a broker that is gone, and a consumer that is closed while it
waits to try a fetch again raises the cancellation of its own task and leaves its connections open.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from aiokafka.errors import KafkaError

log = logging.getLogger(__name__)


async def close_producer(producer: Any, seconds: float) -> None:
    """Send what is buffered and close, for `seconds` at most."""
    await _bounded(producer.stop(), "closing a producer", seconds)


async def close_consumer(consumer: Any, seconds: float) -> None:
    """Leave the group and close, for `seconds` at most each."""
    await _bounded(consumer.stop(), "leaving the group", seconds)
    await _bounded(consumer._client.close(), "closing the consumer's connections", seconds)


async def _bounded(action: Awaitable[None], what: str, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await action
    except TimeoutError:
        log.warning("%s took over %g s; left alone", what, seconds)
    except KafkaError as error:
        log.warning("%s: %s", what, type(error).__name__)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
