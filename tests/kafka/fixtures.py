"""The Kafka fixtures, loaded by the root conftest: `pytest_plugins = ["tests.kafka.fixtures"]`."""

import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import wait
from typing import NoReturn, Protocol

import pytest

# NewTopic is documented as a member of this module, which does not re-export it to type checkers.
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.kafka.locate import KafkaUnavailableError, locate, locate_process
from tests.kafka.server import SILENT, KafkaServer, why_not_led

TOPIC_TIMEOUT_S = 30.0


class MakeTopic(Protocol):
    """Makes a topic and returns its name, which no other test has."""

    def __call__(self, partitions: int = 1) -> str:
        """Block until every partition has a leader; callable from a coroutine."""
        ...


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """`host:port` of a real Kafka that all tests of the run share: leave it running."""
    try:
        with locate() as bootstrap_servers:
            yield bootstrap_servers
    except KafkaUnavailableError as error:
        go_without(str(error))


@pytest.fixture(scope="module")
def kafka_process() -> Iterator[KafkaServer]:
    """A Kafka of the module's own, to stop, kill or pause; a test leaves it running again."""
    try:
        with locate_process() as server:
            yield server
    except KafkaUnavailableError as error:
        go_without(str(error))


@pytest.fixture
def topics(kafka: str) -> Iterator[MakeTopic]:
    """Makes topics on the shared Kafka, and deletes them after the test."""
    admin = AdminClient({"bootstrap.servers": kafka, **SILENT})
    made: list[str] = []

    def make(partitions: int = 1) -> str:
        made.append(make_topic(admin, partitions))
        return made[-1]

    yield make
    if made:
        # Tidiness for a server that outlives the run: whether it worked is no test's business.
        wait(admin.delete_topics(made, request_timeout=TOPIC_TIMEOUT_S).values())


def make_topic(admin: AdminClient, partitions: int = 1) -> str:
    """Make a topic under a new name, wait until it can be used, and return the name.

    Raises `KafkaException` if the server refuses, `TimeoutError` after `TOPIC_TIMEOUT_S`.
    """
    name = f"test-{uuid.uuid4().hex}"
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1)
    admin.create_topics([topic], request_timeout=TOPIC_TIMEOUT_S)[name].result()
    # Created means written by the controller; the broker hears of it a moment later.
    deadline = time.monotonic() + TOPIC_TIMEOUT_S
    while (reason := why_not_led(admin, TOPIC_TIMEOUT_S, name)) is not None:
        if time.monotonic() >= deadline:
            raise TimeoutError(f"the new topic cannot be used: {reason}")
    return name


def go_without(reason: str) -> NoReturn:
    """Skip on a developer's machine; fail in CI, where a skipped proof would go unnoticed."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
