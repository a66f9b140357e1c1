"""The worker as a process, on a real Kafka, with the shipped bundle."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import build
from tests.unit.test_schema import BAD_RECORDS
from tests.worker.process import produce, read, started

WORKER = ("stream", "run")
SECRET = "비밀번호일이삼사"


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
    with started(
        tmp_path / "worker.log",
        WORKER,
        bootstrap_servers=kafka,
        group_id=f"group-of-{source}",
        source_topic=source,
        flags_topic=flags,
        dead_letters_topic=dead,
    ) as run:
        flagged = [json.loads(value) for value, _ in read(kafka, flags, 2)]
        letters = read(kafka, dead, len(bad) + 2)
        run.process.send_signal(signal.SIGTERM)
        status = run.process.wait(60)

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
    assert SECRET not in run.log
    assert "씨발" not in run.log


def test_no_kafka_is_one_clear_line(tmp_path: Path) -> None:
    """A broker that is not there ends with status 2 and names the setting."""
    with started(tmp_path / "worker.log", WORKER, bootstrap_servers="127.0.0.1:1") as run:
        status = run.process.wait(120)

    assert 2 == status
    assert "check KCGUARD_BOOTSTRAP_SERVERS" in run.log
