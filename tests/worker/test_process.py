"""The worker as a process, on a real Kafka, with the shipped bundle."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests import build
from tests.unit.test_schema import BAD_RECORDS

ROOT = Path(__file__).parents[2]
SECRET = "비밀번호일이삼사"


@contextmanager
def worker(log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the worker with the most verbose log in `log`; kill what is left at the end."""
    environment = {f"KCGUARD_{name.upper()}": text for name, text in settings.items()}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "stream", "run"],
            cwd=ROOT,
            env={**os.environ, "KCGUARD_LOG_LEVEL": "debug", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
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


@pytest.mark.kafka
def test_bad_and_good_records_end_where_they_should(
    kafka: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    """Each bad record is one dead letter, each abusive one a flag, SIGTERM ends with status 0.

    Nothing of any transcript is in the log, at its most verbose.
    """
    source, flags, dead = topics(1), topics(1), topics(1)
    spoken = [("첫째", "씨발 빨리 보내라"), ("둘째", "배송이 늦어서 불편합니다")]
    bad = [(b"call", value) for _, value, _ in BAD_RECORDS if value is None or len(value) < 900_000]
    last = build.value(f"가슴 만져도 돼? {SECRET}", utterance_id="셋째")
    produce(
        kafka,
        source,
        [
            *((b"call", build.value(text, utterance_id=name)) for name, text in spoken),
            *bad,
            (b"call", build.value("가" * 300_000)),
            (None, build.value(SECRET)),
            (b"call", last),
        ],
    )
    log = tmp_path / "worker.log"
    with worker(
        log,
        bootstrap_servers=kafka,
        group_id=f"group-of-{source}",
        source_topic=source,
        flags_topic=flags,
        dead_letters_topic=dead,
        http_port="0",
    ) as process:
        flagged = [json.loads(value) for value, _ in read(kafka, flags, 2)]
        letters = read(kafka, dead, len(bad) + 2)
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)

    assert ["첫째", "셋째"] == [flag["utterance_id"] for flag in flagged]
    assert ["욕설", "성희롱"] == [flag["label"] for flag in flagged]
    expected = [
        error.disposition
        for _, value, error in BAD_RECORDS
        if value is None or len(value) < 900_000
    ]
    assert [*expected, "oversized", "schema"] == [
        headers["kcguard.dlq.disposition"].decode() for _, headers in letters
    ]
    assert 0 == status
    assert SECRET not in log.read_text(encoding="utf-8")
    assert "씨발" not in log.read_text(encoding="utf-8")


def test_no_kafka_is_one_clear_line(tmp_path: Path) -> None:
    """A broker that is not there ends with status 2 and names the setting."""
    log = tmp_path / "worker.log"
    with worker(log, bootstrap_servers="127.0.0.1:1", http_port="0") as process:
        status = process.wait(120)

    assert 2 == status
    assert "check KCGUARD_BOOTSTRAP_SERVERS" in log.read_text(encoding="utf-8")
