"""Reads all three topics as they are written."""

import json
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from tests.chaos.broker import DEAD_LETTERS, FLAGS, SOURCE
from tests.chaos.checker import Place, SeenFlag
from tests.chaos.script import NUMBER, WORKER
from tests.kafka.server import SILENT


class Tail:
    """Reads from a thread of its own while the context is open.

    `flags`, the places of dead letters and those of source records (by number) grow, in the order
    of each partition.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self.flags: list[SeenFlag] = []
        self.dead: list[Place] = []
        self.written: list[tuple[int, Place]] = []
        self._read = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tail")
        self._config = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "tail",
            "enable.auto.commit": False,
            "reconnect.backoff.max.ms": 500,
            **SILENT,
        }
        self._consumer = Consumer(self._config)
        self._places = self._partitions()

    def _partitions(self) -> Sequence[TopicPartition]:
        topics = self._consumer.list_topics(timeout=30).topics
        return [
            TopicPartition(topic, partition, OFFSET_BEGINNING)
            for topic in (SOURCE, FLAGS, DEAD_LETTERS)
            for partition in topics[topic].partitions
        ]

    def __enter__(self) -> Self:
        self._consumer.assign(list(self._places))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._consumer.close()

    def wait_for_the_end(self, seconds: float = 60.0) -> None:
        """Return once all that stands in the topics was read; raises TimeoutError."""
        deadline = time.monotonic() + seconds
        # A client of its own asks: one that another thread polls was seen to wait for ever.
        asker = Consumer(self._config)
        total = sum(asker.get_watermark_offsets(place, timeout=30)[1] for place in self._places)
        asker.close()
        while self._read < total:
            if time.monotonic() > deadline:
                raise TimeoutError(f"read {self._read} of {total} records")
            time.sleep(0.1)

    def _follow(self) -> None:
        while not self._stopped.is_set():
            message = self._consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is None:
                self._take(message)
            elif not error.retriable():
                raise KafkaException(error)

    def _take(self, message: Message) -> None:
        self._read += 1
        headers = dict(cast("list[tuple[str, bytes]]", message.headers() or []))
        if message.topic() == SOURCE:
            place = (message.partition() or 0, message.offset() or 0)
            self.written.append((int(headers[NUMBER]), place))
            return
        if message.topic() == DEAD_LETTERS:
            partition, offset = (int(headers[f"kcguard.dlq.{x}"]) for x in ("partition", "offset"))
            self.dead.append((partition, offset))
            return
        flag = json.loads(message.value() or b"")
        self.flags.append(
            SeenFlag(
                number=int(flag["utterance_id"].removeprefix("u")),
                call=flag["call_id"],
                seq=flag["seq"],
                label=flag["label"],
                event_id=flag["event_id"],
                place=(flag["source"]["partition"], flag["source"]["offset"]),
                produced=flag["source"]["timestamp"] / 1000,
                arrived=message.timestamp()[1] / 1000,
                worker=headers[WORKER].decode(),
            )
        )
