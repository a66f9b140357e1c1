"""A Kafka whose workers reach it through a network that can be broken.

Kafka tells a client which address to use, and it is the advertised one of the listener that the
client came in by. So there is a listener for each route, which advertises the route's proxy. The
test's own clients use the plain listener, and see everything.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.chaos.proxy import HOST, Network
from tests.kafka.fixtures import TOPIC_TIMEOUT_S
from tests.kafka.locate import locate_process
from tests.kafka.server import SILENT, KafkaServer, Listener, Setup, _free_ports, why_not_led

SOURCE, FLAGS, DEAD_LETTERS = "transcripts.utterances", "moderation.flags", "moderation.dlq"


@dataclass(frozen=True)
class Cluster:
    """The broker and the ways to it."""

    server: KafkaServer
    network: Network

    def address(self, slot: int) -> str:
        """Return the address for the worker in `slot`."""
        ports = self.network.ports
        return f"{HOST}:{ports[slot % len(ports)]}"


@contextmanager
def cluster(routes: int, partitions: int) -> Iterator[Cluster]:
    """Run a Kafka behind `routes` routes, with the three topics.

    Raises KafkaUnavailableError where this machine has not what it takes.
    """
    ports = _free_ports(routes)
    with Network(ports) as network:
        listeners = [
            Listener(f"ROUTE{number}", "PLAINTEXT", port, f"{HOST}:{network.ports[number]}")
            for number, port in enumerate(ports)
        ]
        with locate_process(Setup(listeners), start_timeout_s=300.0) as server:
            _make_topics(server.bootstrap_servers, partitions)
            yield Cluster(server, network)


def _make_topics(bootstrap_servers: str, partitions: int) -> None:
    # The broker's own time says when a flag arrived; the worker's would say when it was tried.
    arrival = {"message.timestamp.type": "LogAppendTime"}
    topics = [
        NewTopic(SOURCE, num_partitions=partitions, replication_factor=1),
        NewTopic(FLAGS, num_partitions=4, replication_factor=1, config=arrival),
        NewTopic(DEAD_LETTERS, num_partitions=1, replication_factor=1, config=arrival),
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **SILENT})
    for made in admin.create_topics(topics, request_timeout=TOPIC_TIMEOUT_S).values():
        made.result()
    deadline = time.monotonic() + TOPIC_TIMEOUT_S
    while (reason := why_not_led(admin, TOPIC_TIMEOUT_S)) is not None:
        if time.monotonic() >= deadline:
            raise TimeoutError(f"the new topics cannot be used: {reason}")
        time.sleep(0.1)
