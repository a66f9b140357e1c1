"""Flags and dead letters as they go out."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stream.errors import MalformedRecordError, OversizedRecordError, SchemaViolationError
from stream.messages import dead_letter_message, flag_message
from stream.policy import decide
from stream.schema import Flag, Utterance
from tests import build

NOW = datetime(2026, 11, 25, 1, tzinfo=UTC)


def flag(text_mode: str = "full") -> Flag:
    utterance = Utterance.model_validate(build.utterance("가슴 만져도 돼", seq=4))
    policy = build.policy()
    message = flag_message(
        build.record(build.value(), offset=7),
        utterance,
        decide((0.1, 0.2, 0.7), policy.thresholds),
        policy,
        build.outbox(text_mode=text_mode),
        NOW,
    )
    assert message.value is not None
    assert b"call" == message.key
    return Flag.model_validate_json(message.value)


def test_a_flag_says_all_that_the_contract_names() -> None:
    """A flag carries label, code, severity, scores, threshold, source and both times."""
    made = flag()

    assert ("성희롱", "sexual_harassment", "high") == (
        made.label,
        made.label_code,
        made.severity,
    )
    assert (0.7, 0.5) == (made.score, made.threshold)
    assert {"정상", "욕설", "성희롱"} == set(made.scores)
    assert (7, 1_000) == (made.source.offset, made.source.timestamp)
    assert (4, NOW) == (made.seq, made.detected_at)


@pytest.mark.parametrize(
    ("mode", "expected"), [("full", "가슴 만져도 돼"), ("masked", "가○ 만○○ 돼"), ("none", None)]
)
def test_the_text_mode_decides_how_much_is_shown(mode: str, expected: str | None) -> None:
    """Full carries the text, masked only its shape, none nothing."""
    assert expected == flag(mode).text


def test_a_flag_carries_cloud_event_headers() -> None:
    """The CloudEvents 1.0 attributes travel as headers and agree with the body."""
    policy = build.policy()
    message = flag_message(
        build.record(build.value()),
        Utterance.model_validate(build.utterance()),
        decide((0.1, 0.7, 0.2), policy.thresholds),
        policy,
        build.outbox(),
        NOW,
    )
    headers = dict(message.headers)

    assert b"1.0" == headers["ce_specversion"]
    assert json.loads(message.value or b"")["event_id"].encode() == headers["ce_id"]
    assert b"kcguard.flag.abuse.v1" == headers["ce_type"]


def test_a_dead_letter_is_the_record_with_reasons() -> None:
    """Key, value and foreign headers are the record's own; ours say where and why."""
    record = build.record(b"\xff", offset=9)
    message = dead_letter_message(
        record, SchemaViolationError("text: missing"), "parse", build.outbox()
    )
    headers = dict(message.headers)

    assert (b"call", b"\xff") == (message.key, message.value)
    assert b"schema" == headers["kcguard.dlq.disposition"]
    assert b"text: missing" == headers["kcguard.dlq.message"]
    assert (b"transcripts", b"0", b"9") == tuple(
        headers[f"kcguard.dlq.{name}"] for name in ("topic", "partition", "offset")
    )


def test_a_dead_letter_too_large_to_send_becomes_a_pointer() -> None:
    """Over the limit the value stays behind; its length and sha256 lead back to it."""
    message = dead_letter_message(
        build.record(b"x" * 101),
        OversizedRecordError(),
        "parse",
        build.outbox(max_dead_letter_bytes=100),
    )
    headers = dict(message.headers)

    assert message.value is None
    assert b"101" == headers["kcguard.dlq.value_bytes"]
    assert 64 == len(headers["kcguard.dlq.value_sha256"])


@pytest.mark.parametrize(("key", "own"), [(b"k" * 101, ()), (b"call", (("trace", b"x" * 101),))])
def test_a_pointer_fits_whatever_was_too_large(
    key: bytes, own: tuple[tuple[str, bytes], ...]
) -> None:
    """A key or headers over the limit stay behind too, so that the letter can be sent."""
    record = replace(build.record(None, key=key), headers=own)
    message = dead_letter_message(
        record, MalformedRecordError(), "parse", build.outbox(max_dead_letter_bytes=100)
    )
    names = [name for name, _ in message.headers]

    assert (None, b"") == (message.key, message.value)
    assert "trace" not in names
    assert "kcguard.dlq.offset" in names
