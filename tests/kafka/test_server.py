"""The Kafka that the integration tests trust is itself put to the test."""

import socket
import time
import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tests.kafka.fixtures import make_topic
from tests.kafka.locate import ADDRESS_VARIABLE, locate
from tests.kafka.server import KafkaServer, KafkaServerFailedError

pytestmark = pytest.mark.kafka

PATIENCE_S = 60.0


def a_topic_on(server: KafkaServer) -> str:
    """Return the name of a new topic with one partition."""
    return make_topic(AdminClient({"bootstrap.servers": server.bootstrap_servers}))


def write(server: KafkaServer, topic: str, values: list[bytes]) -> None:
    """Send the values and wait until each is acknowledged."""
    producer = Producer({"bootstrap.servers": server.bootstrap_servers, "acks": "all"})
    for value in values:
        producer.produce(topic, value)
    if producer.flush(PATIENCE_S) > 0:
        raise TimeoutError(f"not acknowledged after {PATIENCE_S:.0f} s")


def read(server: KafkaServer, topic: str, count: int) -> list[bytes | None]:
    """Return the topic's first `count` values, read by a consumer group of its own."""
    consumer = Consumer(
        {
            "bootstrap.servers": server.bootstrap_servers,
            "group.id": f"test-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    values: list[bytes | None] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is None:
            continue
        error = message.error()
        if error is not None:
            raise KafkaException(error)
        values.append(message.value())
    consumer.close()
    return values


def test_a_record_comes_back(kafka_process: KafkaServer) -> None:
    """A record written to the server is read back by a consumer group."""
    topic = a_topic_on(kafka_process)

    write(kafka_process, topic, ["정상".encode()])

    assert ["정상".encode()] == read(kafka_process, topic, 1)


def test_records_survive_a_kill(kafka_process: KafkaServer) -> None:
    """Acknowledged records are still there, at the same address, after `kill -9` and a restart."""
    topic = a_topic_on(kafka_process)
    address = kafka_process.bootstrap_servers
    values = [b"1", b"2", b"3"]

    write(kafka_process, topic, values)
    kafka_process.kill()
    kafka_process.start()

    assert address == kafka_process.bootstrap_servers
    assert values == read(kafka_process, topic, len(values))


def test_a_server_that_cannot_start_says_why(kafka_process: KafkaServer) -> None:
    """A server whose port is taken raises an error that carries the reason from its log."""
    server = KafkaServer()
    port = int(server.bootstrap_servers.rpartition(":")[2])
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", port))
        with pytest.raises(KafkaServerFailedError) as caught, server:
            pass

    assert "Address already in use" in str(caught.value)


def test_a_named_server_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server named in the environment that does not answer is an error, never another server."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv(ADDRESS_VARIABLE, address)
        with pytest.raises(ConnectionError, match=address), locate():
            pass
