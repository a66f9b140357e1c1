"""Builders: small valid things, with one part changed."""

import json
from typing import Any

from stream.judge import Judge
from stream.limits import DeadLetterLimit
from stream.messages import Outbox
from stream.policy import Policy
from stream.ports import Place, Readiness, Record
from stream.progress import Progress
from stream.schema import ABUSE, SEXUAL_HARASSMENT, ModelIdentity, Speaker
from stream.worker import Worker
from tests.fakes import CountingObserver, MemoryBroker, WordScorer

FLAGS = "moderation.flags"
DEAD_LETTERS = "moderation.dlq"


def utterance(text: Any = "네 알겠습니다", **changes: Any) -> dict[str, Any]:
    """Return the JSON object of a valid utterance."""
    return {
        "schema_version": 1,
        "call_id": "call",
        "utterance_id": "u1",
        "speaker": "customer",
        "text": text,
        "started_at": "2026-11-25T09:00:00+09:00",
        **changes,
    }


def value(text: Any = "네 알겠습니다", **changes: Any) -> bytes:
    """Return the bytes of a valid utterance's record."""
    return json.dumps(utterance(text, **changes), ensure_ascii=False).encode()


def record(content: bytes | None, key: bytes | None = b"call", offset: int = 0) -> Record:
    return Record(Place("transcripts", 0), offset, 1_000, key, content)


def policy(**changes: Any) -> Policy:
    return Policy.model_validate(
        {
            "thresholds": {ABUSE: 0.5, SEXUAL_HARASSMENT: 0.5},
            "judged_speakers": {Speaker.CUSTOMER, Speaker.UNKNOWN},
            "second_view": True,
            **changes,
        }
    )


def outbox(**changes: Any) -> Outbox:
    return Outbox(
        **{
            "flags_topic": FLAGS,
            "dead_letters_topic": DEAD_LETTERS,
            "text_mode": "full",
            "model": ModelIdentity(name="tiny", version="1", sha256="0" * 64),
            "group_id": "group",
            "worker_version": "0",
            **changes,
        }
    )


def judge(observer: CountingObserver | None = None, **changes: Any) -> Judge:
    return Judge(
        **{
            "scorer": WordScorer(),
            "policy": policy(),
            "outbox": outbox(),
            "observer": observer or CountingObserver(),
            "max_record_bytes": 65_536,
            "now": lambda: 2.0,
            **changes,
        }
    )


def worker(
    broker: MemoryBroker,
    observer: CountingObserver | None = None,
    scorer: WordScorer | None = None,
    policy: Policy | None = None,
    **changes: Any,
) -> Worker:
    """Return a worker; what it judges by can be given on its own, or as a whole `judge`."""
    observer = observer or CountingObserver()
    parts = {"scorer": scorer, "policy": policy}
    return Worker(
        **{
            "broker": broker,
            "judge": judge(observer, **{name: part for name, part in parts.items() if part}),
            "limit": DeadLetterLimit(max_ratio=0.5, max_consecutive=200),
            "observer": observer,
            "readiness": Readiness(),
            "progress": Progress(limit_seconds=60.0),
            "now": lambda: 2.0,
            "backoff_seconds": 0.0,
            **changes,
        }
    )
