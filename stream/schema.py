"""The three contracts on Kafka: the utterance comes in, the flag and the dead letter go out.

Parsing turns hostile bytes into an `Utterance` or one of the dead-letter errors, and nothing else.
No error made here quotes what it read: only field names and reasons that we wrote.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import pydantic_core
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from stream.errors import MalformedRecordError, OversizedRecordError, SchemaViolationError

SCHEMA_VERSION: Final = 1

NORMAL: Final = "정상"
ABUSE: Final = "욕설"
SEXUAL_HARASSMENT: Final = "성희롱"
LABELS: Final = (NORMAL, ABUSE, SEXUAL_HARASSMENT)
"""The labels in the order of the model's outputs."""
FLAGGED_LABELS: Final = (ABUSE, SEXUAL_HARASSMENT)
LABEL_CODES: Final[Mapping[str, str]] = {
    NORMAL: "normal",
    ABUSE: "abuse",
    SEXUAL_HARASSMENT: "sexual_harassment",
}


class Speaker(StrEnum):
    """Who spoke, as the transcript pipeline tells it."""

    CUSTOMER = "customer"
    AGENT = "agent"
    UNKNOWN = "unknown"


def _only_text(value: object) -> object:
    # Pydantic would read a number as a Unix time; the contract says RFC 3339.
    if isinstance(value, str | datetime):
        return value
    raise ValueError("must be an RFC 3339 string")


Timestamp = Annotated[AwareDatetime, BeforeValidator(_only_text)]
Identifier = Annotated[str, Field(min_length=1, max_length=256)]


class Utterance(BaseModel):
    """One utterance as the speech recogniser emitted it. Unknown fields are tolerated."""

    model_config = ConfigDict(frozen=True, extra="ignore", title="Utterance")

    schema_version: Literal[1] = Field(description="Major version of this contract.")
    call_id: Identifier = Field(description="The call; also the record's key.")
    utterance_id: Identifier = Field(description="The utterance, unique within the call.")
    seq: int | None = Field(None, strict=True, ge=0, lt=2**63, description="Place in the call.")
    speaker: Speaker = Field(Speaker.UNKNOWN, description="Who spoke.")
    text: str = Field(description="What was said. Empty is allowed and is 정상.")
    started_at: Timestamp = Field(description="When the utterance began, RFC 3339 with offset.")
    ended_at: Timestamp | None = Field(None, description="When it ended.")
    is_final: bool = Field(True, strict=True, description="False for a partial, which is skipped.")
    asr_confidence: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="The recogniser's confidence, 0 to 1."
    )
    agent_id: str | None = Field(None, max_length=256, description="The agent on the call.")
    queue: str | None = Field(None, max_length=256, description="The call's queue.")


class Source(BaseModel):
    """Where on Kafka the utterance stood: enough to find it again."""

    model_config = ConfigDict(frozen=True)

    topic: str
    partition: int
    offset: int
    timestamp: int = Field(description="The record's timestamp, milliseconds since 1970.")


class ModelIdentity(BaseModel):
    """Which model judged: name, version, and the sha256 of its weights file."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    sha256: str


class Flag(BaseModel):
    """The event emitted for an utterance judged 욕설 or 성희롱."""

    model_config = ConfigDict(frozen=True, title="Flag")

    schema_version: Literal[1] = SCHEMA_VERSION
    event_id: uuid.UUID = Field(description="Equal for every redelivery of one record.")
    call_id: str
    utterance_id: str
    seq: int | None
    speaker: Speaker
    label: Literal["욕설", "성희롱"]
    label_code: Literal["abuse", "sexual_harassment"]
    severity: Literal["low", "medium", "high"]
    score: float = Field(description="The model's score for `label`, 0 to 1.")
    scores: dict[str, float] = Field(description="All three scores by label; they add up to 1.")
    threshold: float = Field(description="The score from which `label` is flagged.")
    text: str | None = Field(description="The utterance: whole, masked, or absent, as configured.")
    model: ModelIdentity
    policy_version: str = Field(description="Changes with thresholds, severities and roles.")
    source: Source
    occurred_at: AwareDatetime = Field(description="When the utterance began.")
    detected_at: AwareDatetime = Field(description="When the worker judged it.")


class DeadLetterHeaders(BaseModel):
    """The `kcguard.dlq.*` headers of a dead letter; all else of it is the record's own."""

    model_config = ConfigDict(frozen=True, title="DeadLetterHeaders")

    stage: Literal["parse", "score"]
    disposition: Literal["malformed", "schema", "oversized", "model_input", "retries_exhausted"]
    error: str = Field(description="The error's class.")
    message: str = Field(description="The reason; never quotes the text.")
    topic: str
    partition: int
    offset: int
    timestamp: int
    group: str
    attempt: int = 1
    worker: str = Field(description="The worker's version.")
    model: str = Field(description="The model's name and version.")

    def encode(self) -> list[tuple[str, bytes]]:
        return [(f"kcguard.dlq.{name}", str(value).encode()) for name, value in self]


_EVENT_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:kcguard:flag")


def event_id(source: Source) -> uuid.UUID:
    """Return the flag's id: a function of where the record stands, and of nothing else."""
    place = f"{source.topic}\n{source.partition}\n{source.offset}\n{source.timestamp}"
    return uuid.uuid5(_EVENT_NAMESPACE, place)


def cloud_event_headers(flag: Flag) -> list[tuple[str, bytes]]:
    """Return the CloudEvents 1.0 attributes of `flag` (Kafka protocol binding, binary mode)."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": str(flag.event_id),
        "ce_source": f"urn:kcguard:{flag.source.topic}",
        "ce_type": f"kcguard.flag.{flag.label_code}.v{flag.schema_version}",
        "ce_subject": flag.call_id,
        "ce_time": flag.detected_at.isoformat(),
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in attributes.items()]


def parse_utterance(key: bytes | None, value: bytes | None, max_bytes: int) -> Utterance:
    """Return the utterance that a record holds.

    Raises OversizedRecordError where the value is over `max_bytes` (checked before parsing),
    MalformedRecordError where it is no UTF-8 JSON object, SchemaViolationError where the object
    breaks the contract. No other error escapes, whatever the bytes.
    """
    if key is None:
        raise SchemaViolationError("the record has no key; the key is the call_id")
    if value is None:
        raise MalformedRecordError("the record has no value")
    if len(value) > max_bytes:
        raise OversizedRecordError(f"the value is {len(value)} bytes, over the {max_bytes} allowed")
    try:
        document: Any = pydantic_core.from_json(value, allow_inf_nan=False)
    except ValueError:
        # From None: the parser's own message may hold a piece of the input.
        raise MalformedRecordError("the value is not valid UTF-8 JSON") from None
    if not isinstance(document, dict):
        raise MalformedRecordError("the value is JSON, but not an object")
    try:
        return Utterance.model_validate(document)
    except ValidationError as error:
        raise SchemaViolationError(_reasons(error)) from None


def _reasons(error: ValidationError) -> str:
    """Name every failing field and the kind of failure; input and context stay out."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, d['loc']))}: {d['type']}" for d in details)


def json_schemas() -> dict[str, Any]:
    """Return the JSON Schema of each topic, by what it carries."""
    return {
        "utterance": Utterance.model_json_schema(),
        "flag": Flag.model_json_schema(mode="serialization"),
        "dead_letter_headers": DeadLetterHeaders.model_json_schema(),
    }


def encode_flag(flag: Flag) -> bytes:
    """Return the value of a flag's record: UTF-8 JSON, Korean as it is."""
    return json.dumps(flag.model_dump(mode="json"), ensure_ascii=False).encode()
