"""Builders of the demo's values, with harmless defaults."""

from datetime import UTC, datetime
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

from stream.demo.replay import Call, Spoken, Turn
from stream.demo.summary import SeenFlag
from stream.schema import ABUSE, NORMAL, Flag, ModelIdentity, Source, Speaker

Label = Literal["정상", "욕설", "성희롱"]
SENT_MS = 1_790_000_000_000
NOON = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)


def turn(
    text: str = "네 고객님", label: Label = NORMAL, speaker: Speaker = Speaker.CUSTOMER
) -> Turn:
    return Turn(speaker=speaker, text=text, label=label)


def call(call_id: str = "c1", turns: int = 2) -> Call:
    return Call(call_id=call_id, industry="통신", turns=[turn() for _ in range(turns)])


def spoken(
    seq: int = 0,
    label: Label = NORMAL,
    speaker: Speaker = Speaker.CUSTOMER,
    ended_s: float = 1.0,
) -> Spoken:
    return Spoken("c1", "통신", seq, turn(label=label, speaker=speaker), ended_s - 1.0, ended_s)


def seen(
    seq: int = 0,
    label: Literal["욕설", "성희롱"] = ABUSE,
    latency_ms: float = 10.0,
    text: str | None = "네 고객님",
) -> SeenFlag:
    flag = Flag(
        event_id=uuid5(NAMESPACE_URL, str(seq)),
        call_id="c1",
        utterance_id=spoken(seq).utterance_id,
        seq=seq,
        speaker=Speaker.CUSTOMER,
        label=label,
        label_code="abuse" if label == ABUSE else "sexual_harassment",
        severity="high",
        score=0.9,
        scores={"정상": 0.05, "욕설": 0.9, "성희롱": 0.05},
        threshold=0.5,
        text=text,
        model=ModelIdentity(name="kcguard", version="1", sha256="0" * 64),
        policy_version="1",
        source=Source(topic="transcripts.utterances", partition=0, offset=seq, timestamp=SENT_MS),
        occurred_at=NOON,
        detected_at=NOON,
    )
    return SeenFlag(flag, SENT_MS + latency_ms)
