"""The sample calls as a timeline of utterances, and the producer that speaks them.

A record leaves when its turn has been spoken, as a speech recogniser's final result does.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from confluent_kafka import KafkaError, Message, Producer
from pydantic import BaseModel

from stream.schema import SCHEMA_VERSION, Speaker

# A brisk phone voice: 7 syllables a second, and a breath between two turns.
_SYLLABLES_PER_S: Final = 7.0
_BREATH_S: Final = 0.4
# Calls ring one after another; together with the number of lanes it makes the turns interleave.
_RING_S: Final = 1.5
_CALLS_AT_ONCE: Final = 8
_SPAN_S: Final = 40.0


class Turn(BaseModel):
    """One turn of a sample call, with the label a person gave it."""

    speaker: Speaker
    text: str
    label: Literal["정상", "욕설", "성희롱"]


class Call(BaseModel):
    """One sample call: a line of the calls file."""

    call_id: str
    industry: str
    turns: list[Turn]


def parse_calls(lines: Iterable[str]) -> list[Call]:
    """Return the calls of a JSON-lines file; raises pydantic's ValidationError on a bad line."""
    return [Call.model_validate_json(line) for line in lines if line.strip()]


@dataclass(frozen=True, slots=True)
class Spoken:
    """One turn on the timeline; seconds count from the start of the replay."""

    call_id: str
    industry: str
    seq: int
    turn: Turn
    started_s: float
    ended_s: float

    @property
    def utterance_id(self) -> str:
        return f"{self.call_id}-{self.seq:03d}"

    def encode(self, began: datetime) -> tuple[bytes, bytes]:
        """Return the record's key and value for a replay that began at `began`, an aware time."""
        value = {
            "schema_version": SCHEMA_VERSION,
            "call_id": self.call_id,
            "utterance_id": self.utterance_id,
            "seq": self.seq,
            "speaker": self.turn.speaker.value,
            "text": self.turn.text,
            "started_at": (began + timedelta(seconds=self.started_s)).isoformat(),
            "is_final": True,
            # The sample is text, not speech: one plausible confidence for every turn.
            "asr_confidence": 0.93,
            "queue": self.industry,
        }
        return self.call_id.encode(), json.dumps(value, ensure_ascii=False).encode()


def timeline(calls: Sequence[Call], at_once: int = _CALLS_AT_ONCE) -> list[Spoken]:
    """Lay the calls out at the pace of speech, at most `at_once` at a time, in order of their ends.

    Within a call a turn starts when the one before has ended.
    """
    free_at = [lane * _RING_S for lane in range(at_once)]
    spoken = []
    for call in calls:
        lane = free_at.index(min(free_at))
        now = free_at[lane]
        for seq, turn in enumerate(call.turns):
            ended = now + _speech_s(turn.text)
            spoken.append(Spoken(call.call_id, call.industry, seq, turn, now, ended))
            now = ended + _BREATH_S
        free_at[lane] = now + _RING_S
    return sorted(spoken, key=lambda one: one.ended_s)


def squeeze(spoken: Sequence[Spoken], span_s: float = _SPAN_S) -> list[Spoken]:
    """Speed a timeline up so that it lasts `span_s` at most; a shorter one keeps its pace."""
    factor = span_s / max(span_s, span(spoken))
    return [
        replace(one, started_s=one.started_s * factor, ended_s=one.ended_s * factor)
        for one in spoken
    ]


def all_at_once(spoken: Sequence[Spoken]) -> list[Spoken]:
    """Move a timeline into the past, its last turn ending at 0: every record is due at once."""
    end = span(spoken)
    return [
        replace(one, started_s=one.started_s - end, ended_s=one.ended_s - end) for one in spoken
    ]


def span(spoken: Sequence[Spoken]) -> float:
    """Return the second at which the last turn ends, 0 for no turns."""
    return max((one.ended_s for one in spoken), default=0.0)


def pace(natural: Sequence[Spoken], squeezed: Sequence[Spoken]) -> float:
    """Return how many times faster than speech `squeezed` is; 1 for no turns."""
    return span(natural) / span(squeezed) if squeezed else 1.0


def _speech_s(text: str) -> float:
    return sum(not character.isspace() for character in text) / _SYLLABLES_PER_S


class UndeliveredError(Exception):
    """The broker did not take a record of the replay."""


class Voice:
    """Sends utterances to the source topic. Not for use by several threads."""

    def __init__(self, bootstrap_servers: str, topic: str, began: datetime) -> None:
        self._topic = topic
        self._began = began
        self._producer = Producer(
            # No linger: a record's timestamp is taken here, so waiting would count as latency.
            {"bootstrap.servers": bootstrap_servers, "acks": "all", "linger.ms": 0, "log_level": 0}
        )
        self._refused: KafkaError | None = None
        self.delivered = 0

    def say(self, spoken: Spoken) -> None:
        """Hand the utterance to the producer; does not block."""
        key, value = spoken.encode(self._began)
        self._producer.produce(self._topic, value, key, on_delivery=self._report)

    def settle(self, within_s: float = 0.0) -> None:
        """Count what the broker has taken; raise UndeliveredError where it refused something."""
        self._producer.poll(within_s)
        if self._refused is not None:
            raise UndeliveredError(f"the broker refused a record: {self._refused.name()}")

    def _report(self, error: KafkaError | None, _record: Message) -> Any:
        if error is None:
            self.delivered += 1
        else:
            self._refused = error
