"""The embedded broker: librdkafka's mock cluster in a process of its own.

It speaks enough of Kafka's protocol for one consumer-group member: produce, consume, commit. It
keeps records in memory, cannot rebalance a second member, and knows no transactions. It also never
wakes a waiting fetch: a consumer here sees a new record only when the wait it asked for has passed.
So it shows the worker at work; it proves nothing about delivery.

The process is this file run as a script. It serves until its standard input ends, which is also
what happens when the demo dies.
"""

import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from confluent_kafka import Producer

from stream.demo import processes

_START_S: Final = 20.0
_STOP_S: Final = 5.0


class BrokerFailedError(Exception):
    """The embedded broker did not start."""


@contextmanager
def embedded_broker(topics: Sequence[str]) -> Iterator[str]:
    """Run a broker that holds `topics`, each with 4 partitions, and yield its `host:port`.

    Raises BrokerFailedError where it is not up in time. The process is gone when the context ends.
    """
    process = processes.start(
        [sys.executable, "-m", "stream.demo.broker", *topics],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        readable, _, _ = select.select([process.stdout], [], [], _START_S)
        address = process.stdout.readline().decode().strip() if readable else ""
        if not address:
            raise BrokerFailedError(f"the embedded broker gave no address within {_START_S:.0f} s")
        yield address
    finally:
        process.stdin.close()
        processes.finish(process, _STOP_S)
        process.stdout.close()


def _serve(topics: Sequence[str]) -> None:
    # log_level 0: its notes about clients that hang up would tear the live view on the terminal.
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    for topic in topics:
        # Asking about a topic makes it, so that no client meets "unknown topic" on its first try.
        cluster.list_topics(topic, timeout=_START_S)
    (broker,) = cluster.list_topics(timeout=_START_S).brokers.values()
    print(f"{broker.host}:{broker.port}", flush=True)
    sys.stdin.buffer.read()
    # Taking the cluster down in order waits for its clients; there is nothing here to save.
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1:])
