"""Workers as processes: started, asked over HTTP, fed and read through a real Kafka."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.edges.test_http import get

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
PATHS = ("/metrics", "/livez", "/readyz", "/other")


@dataclass(frozen=True)
class Run:
    """A worker under test."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def log(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def ask(self, path: str) -> tuple[int, str]:
        """Return status and body of `path`; 0 while the log has not said where the port is."""
        address = re.search(r"http://[0-9.:]+", self.log)
        return get(address[0] + path) if address else (0, "")

    def answers(self) -> str:
        """Return what every path of the port answers."""
        found = [self.ask(path) for path in PATHS]
        assert {200, 404, 503} >= {status for status, _ in found}
        return "\n".join(body for _, body in found)

    def wait_for(self, path: str, status: int) -> str:
        """Return the body once `path` answers with `status`."""
        found: list[str] = []

        def answers() -> bool:
            got, body = self.ask(path)
            found.append(body)
            return got == status

        wait_until(answers)
        return found[-1]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def started(
    log: Path, module: Sequence[str], python: Mapping[str, str] | None = None, **settings: str
) -> Iterator[Run]:
    """Run a worker with its most verbose log in `log`; kill what is left at the end.

    `settings` are the worker's own, `python` more of its environment.
    """
    settings = {"http_port": "0", "log_level": "debug", **settings}
    environment = {f"KCGUARD_{name.upper()}": text for name, text in settings.items()}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            env={**os.environ, **environment, **(python or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield Run(process, log)
        finally:
            process.kill()


def produce(servers: str, topic: str, records: list[tuple[bytes | None, bytes | None]]) -> None:
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": 4_000_000})
    for key, value in records:
        producer.produce(topic, value, key)
    assert 0 == producer.flush(60)


def read(servers: str, topic: str, count: int) -> list[tuple[bytes, dict[str, bytes]]]:
    """Return the values and headers of the first `count` records of a one-partition topic."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "reader", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[tuple[bytes, dict[str, bytes]]] = []
    try:
        while len(found) < count:
            message = consumer.poll(90)
            assert message is not None, f"{len(found)} of {count} records came"
            assert message.error() is None
            headers = cast("list[tuple[str, bytes]]", message.headers() or [])
            found.append((message.value() or b"", dict(headers)))
    finally:
        consumer.close()
    return found
