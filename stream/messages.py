"""Builds what one record gives rise to: a flag or a dead letter. Pure; time is passed in."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

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

    A record too large for the topic becomes a pointer: no value, but its length and sha256.
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
            "worker": outbox.worker_version,
            "model": f"{outbox.model.name} {outbox.model.version}",
        }
    ).encode()
    value = record.value
    if value is not None and _size(record) > outbox.max_dead_letter_bytes:
        headers += [
            ("kcguard.dlq.value_bytes", str(len(value)).encode()),
            ("kcguard.dlq.value_sha256", hashlib.sha256(value).hexdigest().encode()),
        ]
        value = None
    return Message(
        outbox.dead_letters_topic, record.key, value, [*_foreign(record.headers), *headers]
    )


def _size(record: Record) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers


def _foreign(headers: Headers) -> Sequence[tuple[str, bytes]]:
    """Return the headers that are not ours: a redriven record carries those of its last visit."""
    return [pair for pair in headers if not pair[0].startswith("kcguard.dlq.")]
