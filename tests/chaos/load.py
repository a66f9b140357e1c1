"""Writes what is said to the source topic, steadily, whatever happens to the broker."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Producer

from tests.chaos.broker import SOURCE
from tests.chaos.script import Spoken
from tests.kafka.server import SILENT

FLUSH_SECONDS = 120.0


class Load:
    """Writes `rate` records a second from a thread of its own while the context is open.

    The producer is idempotent and tries for ever, so records stand in the order of their call.
    `spoken` is what was handed to it, by number.
    """

    def __init__(self, bootstrap_servers: str, script: Iterator[Spoken], rate: float) -> None:
        self._script = script
        self._rate = rate
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, name="load")
        self._acknowledged: set[int] = set()
        self.spoken: dict[int, Spoken] = {}
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "acks": "all",
                "message.timeout.ms": 0,
                "linger.ms": 5,
                # The default goes up to 10 s, which would be taken for the worker's slowness.
                "reconnect.backoff.max.ms": 500,
                **SILENT,
            }
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Write no more, and wait for what is under way."""
        self._stopped.set()
        self._thread.join()

    def acknowledged(self) -> set[int]:
        """Return the numbers of the records that Kafka has acknowledged so far."""
        return set(self._acknowledged)

    def _write(self) -> None:
        begun, written = time.monotonic(), 0
        while not self._stopped.is_set():
            due = int((time.monotonic() - begun) * self._rate)
            for _ in range(due - written):
                self._produce(next(self._script))
            written = due
            self._producer.poll(0.02)
        self._producer.flush(FLUSH_SECONDS)

    def _produce(self, spoken: Spoken) -> None:
        self.spoken[spoken.number] = spoken
        # A full queue is waited for no longer than a flush would be.
        for _ in range(int(FLUSH_SECONDS)):
            with contextlib.suppress(BufferError):
                self._producer.produce(
                    SOURCE,
                    spoken.value,
                    spoken.key,
                    headers=spoken.headers,
                    on_delivery=self._delivered(spoken.number),
                )
                return
            self._producer.poll(1.0)

    def _delivered(self, number: int) -> Callable[[Any, Any], None]:
        def report(error: Any, _: Any) -> None:
            if error is None:
                self._acknowledged.add(number)

        return report
