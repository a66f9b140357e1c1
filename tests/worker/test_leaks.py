"""No transcript leaves a worker but in its flags and dead letters, whatever goes wrong.

A canary stands in every text. What the processes print at their most verbose, and what their port
answers, is searched for it; that the flags and dead letters hold it shows that it was there.
"""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

# They are documented as members of this module, which does not re-export them to type checkers.
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests import build
from tests.kafka.server import SILENT
from tests.worker.faulty import FAULT, HANG, SURPRISE
from tests.worker.process import PATIENCE_S, produce, read, started, wait_until

# ASCII, so that no escape in a log or a repr can hide it.
CANARY = "zQ7canaryZ"

FLAGGED = [
    build.value(f"씨발 {CANARY} 빨리 보내라", utterance_id="plain"),
    build.value(f"시1발 빨리 보내라고 {CANARY}", utterance_id="hidden"),
    build.value(f"씨발 빨리 보내라 {CANARY} *** ", utterance_id="masked", asr_confidence=0.1),
]
SILENT_ONES = [
    build.value(f"배송이 늦어서 불편합니다 {CANARY}"),
    build.value(f"씨발 {CANARY}", is_final=False),
    build.value(f"씨발 {CANARY}", speaker="agent"),
    build.value(f"네 {CANARY} " * 500),
]
DEAD = [
    f'{{"text": "{CANARY}'.encode(),
    f'{{"text": "{CANARY}\\ud800"}}'.encode(),
    f'"{CANARY}"'.encode(),
    CANARY.encode() + b"\xff\xfe",
    build.value([CANARY]),
    build.value("네", speaker=CANARY, started_at=CANARY, seq=CANARY),
    build.value(f"네 {CANARY}", schema_version=CANARY),
    build.value(CANARY * 7_000),
]


# asyncio's debug mode prints what tasks hold.
DEBUG = {"PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1"}


def let_in(servers: str, topic: str, oldest_ms: int) -> None:
    """Let `topic` take records whose timestamp is up to `oldest_ms` old; with 0 it takes none."""
    resource = ConfigResource(
        ResourceType.TOPIC,
        topic,
        incremental_configs=[
            ConfigEntry(
                "message.timestamp.before.max.ms",
                str(oldest_ms),
                incremental_operation=AlterConfigOpType.SET,
            )
        ],
    )
    admin = AdminClient({"bootstrap.servers": servers, **SILENT})
    admin.incremental_alter_configs([resource])[resource].result(PATIENCE_S)


@pytest.mark.kafka
def test_the_worker_that_ships_tells_no_transcript(
    kafka: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    """Flagged or not, hidden, partial, broken or too large, a text is in no log and no answer.

    Not even while Kafka refuses the flags.
    """
    source, flags, dead = topics(1), topics(1), topics(1)
    let_in(kafka, flags, 0)
    keyed = [(b"call", value) for value in (*FLAGGED, *SILENT_ONES, *DEAD)]
    produce(kafka, source, [*keyed, (None, build.value(CANARY)), (CANARY.encode(), None)])
    with started(
        tmp_path / "log",
        ["stream", "run"],
        DEBUG,
        bootstrap_servers=kafka,
        group_id=f"group-of-{source}",
        source_topic=source,
        flags_topic=flags,
        dead_letters_topic=dead,
    ) as run:
        wait_until(lambda: "trying again" in run.log)
        told = run.answers()
        let_in(kafka, flags, 86_400_000)
        flagged = [json.loads(value) for value, _ in read(kafka, flags, len(FLAGGED))]
        letters = read(kafka, dead, len(DEAD) + 2)
        told += run.answers()
        run.process.send_signal(signal.SIGTERM)
        status = run.process.wait(PATIENCE_S)

    assert ["plain", "hidden", "masked"] == [flag["utterance_id"] for flag in flagged]
    assert [1, 1, 1] == [flag["text"].count(CANARY) for flag in flagged]
    assert [*DEAD, build.value(CANARY), b""] == [value for value, _ in letters]
    assert [] == [headers for _, headers in letters if CANARY in str(headers)]
    assert "kcguard_second_views_total 1.0" in told
    assert 0 == status
    assert "publish: InvalidTimestampError; trying again" in run.log
    assert CANARY not in run.log + told


@pytest.mark.kafka
def test_a_model_that_fails_or_hangs_tells_no_transcript(
    kafka: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    """A text that the model fails on is a dead letter; a hang is logged with every thread's place.

    The stop that the hang prevents ends at its deadline, and says no more of the text.
    """
    source, flags, dead = topics(1), topics(1), topics(1)
    faults = [build.value(f"{FAULT} {CANARY}"), build.value(f"시1발 {FAULT} {CANARY}")]
    produce(kafka, source, [(b"call", value) for value in (*faults, build.value(f"욕 {CANARY}"))])
    with started(
        tmp_path / "log",
        ["tests.worker.faulty"],
        DEBUG,
        bootstrap_servers=kafka,
        group_id=f"group-of-{source}",
        source_topic=source,
        flags_topic=flags,
        dead_letters_topic=dead,
        log_format="json",
        stall_seconds="2",
        stop_seconds="1",
    ) as run:
        letters = read(kafka, dead, len(faults))
        ((flag, _),) = read(kafka, flags, 1)
        told = run.answers()
        produce(kafka, source, [(b"call", build.value(f"{HANG} {CANARY}"))])
        # The line of `Event.wait` shows that it is the dump of this hang.
        wait_until(lambda: "thread model_0" in run.log and "in wait" in run.log)
        wait_until(lambda: run.ask("/livez")[0] == 503)
        told += run.answers()
        run.process.send_signal(signal.SIGTERM)
        status = run.process.wait(PATIENCE_S)

    assert faults == [value for value, _ in letters]
    assert {b"model_input"} == {headers["kcguard.dlq.disposition"] for _, headers in letters}
    assert CANARY in json.loads(flag)["text"]
    assert [] == [headers for _, headers in letters if CANARY in str(headers)]
    assert "no progress: judge" in told
    assert 6 == status
    assert "1 records in flight were not committed" in run.log
    assert CANARY not in run.log + told


@pytest.mark.kafka
def test_an_error_that_nobody_foresaw_tells_no_transcript(
    kafka: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    """It ends the worker with its class and where it came from, and its message stays unsaid."""
    source, flags = topics(1), topics(1)
    texts = [f"욕 {CANARY}", f"{SURPRISE} {CANARY}"]
    produce(kafka, source, [(b"call", build.value(text)) for text in texts])
    with started(
        tmp_path / "log",
        ["tests.worker.faulty"],
        DEBUG,
        bootstrap_servers=kafka,
        group_id=f"group-of-{source}",
        source_topic=source,
        flags_topic=flags,
        log_format="json",
        max_chunk_records="1",
    ) as run:
        ((flag, _),) = read(kafka, flags, 1)
        status = run.process.wait(PATIENCE_S)

    assert CANARY in json.loads(flag)["text"]
    assert 7 == status
    assert "RuntimeError" in run.log
    assert "faulty.py:" in run.log
    assert CANARY not in run.log
