"""Builds what one record gives rise to: a flag or a dead letter. Pure; time is passed in."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from stream.errors import BadRecordError
from stream.policy import Policy, Verdict
from stream.ports import Headers, Message, Record
from stream.schema import (
    LABEL_CODES,
    DeadLetterHeaders,
    Flag,
    ModelIdentity,
    Source,
    Utterance,
    cloud_event_headers,
    encode_flag,
    event_id,
)
from stream.text import mask

TextMode = Literal["full", "masked", "none"]

ATTEMPT: Final = "kcguard.attempt"
"""The header of a record that was sent back: how often it was dead-lettered before."""


@dataclass(frozen=True)
class Outbox:
    """Where messages go and what every one of them says about the worker."""

    flags_topic: str
    dead_letters_topic: str
    text_mode: TextMode
    model: ModelIdentity
    group_id: str
    worker_version: str
    max_dead_letter_bytes: int = 900_000


def flag_message(
    record: Record,
    utterance: Utterance,
    verdict: Verdict,
    policy: Policy,
    outbox: Outbox,
    detected_at: datetime,
) -> Message:
    """Return the flag for a flagged `verdict`, keyed by the call."""
    source = Source(
        topic=record.place.topic,
        partition=record.place.partition,
        offset=record.offset,
        timestamp=record.timestamp,
    )
    text = {"full": utterance.text, "masked": mask(utterance.text), "none": None}
    flag = Flag.model_validate(
        {
            "event_id": event_id(source),
            "call_id": utterance.call_id,
            "utterance_id": utterance.utterance_id,
            "seq": utterance.seq,
            "speaker": utterance.speaker,
            "label": verdict.label,
            "label_code": LABEL_CODES[verdict.label],
            "severity": policy.severities[verdict.label],
            "score": verdict.score,
            "scores": verdict.scores,
            "threshold": verdict.threshold,
            "text": text[outbox.text_mode],
            "model": outbox.model,
            "policy_version": policy.version,
            "source": source,
            "occurred_at": utterance.started_at,
            "detected_at": detected_at,
        }
    )
    key = utterance.call_id.encode()
    return Message(outbox.flags_topic, key, encode_flag(flag), cloud_event_headers(flag))


def dead_letter_message(
    record: Record, error: BadRecordError, stage: Literal["parse", "score"], outbox: Outbox
) -> Message:
    """Return the dead letter of `record`: its own bytes and headers, and why it is here.

    A record too large for the topic becomes a pointer: no value, but its length and sha256, and no
    key or headers where they alone are too large. The attempt is one more than the record says it
    had.
    """
    headers = DeadLetterHeaders.model_validate(
        {
            "stage": stage,
            "disposition": error.disposition,
            "error": type(error).__name__,
            "message": str(error),
            "topic": record.place.topic,
            "partition": record.place.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "group": outbox.group_id,
            "attempt": attempts(record.headers) + 1,
            "worker": outbox.worker_version,
            "model": f"{outbox.model.name} {outbox.model.version}",
        }
    ).encode()
    key, value, own = record.key, record.value, foreign(record.headers)
    if _size(key, value, own) > outbox.max_dead_letter_bytes:
        content = value or b""
        headers += [
            ("kcguard.dlq.value_bytes", str(len(content)).encode()),
            ("kcguard.dlq.value_sha256", hashlib.sha256(content).hexdigest().encode()),
        ]
        value = None
        if _size(key, value, own) > outbox.max_dead_letter_bytes:
            # Key or headers are what is too large; where the record stands is told all the same.
            key, own = None, []
    return Message(outbox.dead_letters_topic, key, never_neither(key, value), [*own, *headers])


def attempts(headers: Headers) -> int:
    """Return how often a record was dead-lettered before; 0 where its header says nothing clear."""
    said = [value for name, value in headers if name == ATTEMPT]
    # Nine digits: a number that whoever wrote the header chose must not grow without end.
    return int(said[-1]) if said and said[-1].isdigit() and len(said[-1]) <= 9 else 0


def foreign(headers: Headers) -> Sequence[tuple[str, bytes]]:
    """Return the headers that are not ours: a record sent back carries those of its last visit."""
    return [
        pair for pair in headers if not pair[0].startswith("kcguard.dlq.") and pair[0] != ATTEMPT
    ]


def never_neither(key: bytes | None, value: bytes | None) -> bytes | None:
    """Return `value`, empty in place of None where there is no key either.

    Kafka takes a record with neither; aiokafka's producer does not, and fails an assertion.
    """
    return b"" if key is None and value is None else value


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    return len(value or b"") + len(key or b"") + sum(len(name) + len(v) for name, v in headers)
