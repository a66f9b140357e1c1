"""Reads the flags topic, as a supervisor's screen would."""

import time
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from stream.demo.summary import SeenFlag
from stream.schema import Flag

_ANSWER_S: Final = 5.0


class FlagReader:
    """All flags of the topic, from its beginning. Not for use by several threads.

    The partitions are assigned by hand: the embedded broker has room for one group member, and
    that is the worker.
    """

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "kcguard-demo",  # the client insists on one; nothing is committed
                "enable.auto.commit": False,
                # The embedded broker does not wake a waiting fetch, so every wait is latency.
                "fetch.wait.max.ms": 5,
                "log_level": 0,
            }
        )
        partitions = self._consumer.list_topics(topic, timeout=_ANSWER_S).topics[topic].partitions
        self._next = dict.fromkeys(partitions, 0)
        self._topic = topic
        self._consumer.assign([TopicPartition(topic, one, OFFSET_BEGINNING) for one in partitions])

    def poll(self, within_s: float) -> SeenFlag | None:
        """Return the next flag, or None where none comes within `within_s`.

        Raises KafkaException where the broker fails, ValidationError where a flag breaks its
        contract.
        """
        record = self._consumer.poll(within_s)
        if record is None:
            return None
        arrived_ms = time.time() * 1000
        if (error := record.error()) is not None:
            raise KafkaException(error)
        partition, offset, value = record.partition(), record.offset(), record.value()
        assert partition is not None
        assert offset is not None
        self._next[partition] = offset + 1
        return SeenFlag(Flag.model_validate_json(value or b""), arrived_ms)

    def at_end(self) -> bool:
        """Tell whether every flag that the topic holds now has been returned by `poll`."""
        return all(
            self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=_ANSWER_S
            )[1]
            <= position
            for partition, position in self._next.items()
        )

    def close(self) -> None:
        self._consumer.close()
