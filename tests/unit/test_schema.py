"""Parsing of hostile bytes into an utterance or the right error."""

import contextlib
import json
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import (
    BadRecordError,
    MalformedRecordError,
    OversizedRecordError,
    SchemaViolationError,
)
from stream.schema import Source, Utterance, event_id, json_schemas, parse_utterance
from tests.build import utterance, value

LIMIT = 65_536
SECRET = "주민번호팔공일이"

BAD_RECORDS = [
    ("invalid UTF-8", b'{"text": "\xff\xfe"}', MalformedRecordError),
    ("broken JSON", b'{"text": ', MalformedRecordError),
    ("no value", None, MalformedRecordError),
    ("an array", b"[1, 2]", MalformedRecordError),
    ("deep nesting", b"[" * 50_000, MalformedRecordError),
    ("deep nesting in a field", b'{"x":' * 10_000, MalformedRecordError),
    ("NaN", value(asr_confidence=float("nan")), MalformedRecordError),
    ("NaN in an unknown field", value(other=float("nan")), MalformedRecordError),
    ("a lone surrogate", value().replace("네".encode(), b"\\ud800"), MalformedRecordError),
    ("missing text", json.dumps({**utterance(), "text": None}).encode(), SchemaViolationError),
    ("a number as text", value(text=5), SchemaViolationError),
    ("a number as call", value(call_id=7), SchemaViolationError),
    ("an empty call", value(call_id=""), SchemaViolationError),
    ("a number as time", value(started_at=1_700_000_000), SchemaViolationError),
    ("a time without offset", value(started_at="2026-11-25T09:00:00"), SchemaViolationError),
    ("a word as is_final", value(is_final="yes"), SchemaViolationError),
    ("a huge seq", value(seq=2**70), SchemaViolationError),
    ("an unknown speaker", value(speaker="robot"), SchemaViolationError),
    ("an unknown version", value(schema_version=2), SchemaViolationError),
    ("no version", json.dumps({"text": SECRET}).encode(), SchemaViolationError),
    ("1 MiB of text", value(text="가" * (1024 * 1024 // 3)), OversizedRecordError),
]


@pytest.mark.parametrize(
    ("content", "error"), [row[1:] for row in BAD_RECORDS], ids=[row[0] for row in BAD_RECORDS]
)
def test_a_bad_value_is_its_own_error(content: bytes | None, error: type[BadRecordError]) -> None:
    """Each kind of bad value raises the error that names its disposition."""
    with pytest.raises(BadRecordError) as caught:
        parse_utterance(b"call", content, LIMIT)

    assert error is type(caught.value)


def test_a_missing_key_breaks_the_contract() -> None:
    """A record without a key cannot keep its call's order and is refused."""
    with pytest.raises(SchemaViolationError, match="no key"):
        parse_utterance(None, value(), LIMIT)


def test_errors_never_quote_the_record() -> None:
    """Neither the message nor the cause of an error holds what the record said."""
    for content in (value(text=[SECRET]), f'{{"text": "{SECRET}'.encode(), value(speaker=SECRET)):
        with pytest.raises(BadRecordError) as caught:
            parse_utterance(b"call", content, LIMIT)

        assert SECRET not in repr(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_a_valid_record_becomes_an_utterance() -> None:
    """Fields keep their values, defaults fill in, unknown fields are tolerated."""
    parsed = parse_utterance(b"call", value(text="", seq=3, future_field={"a": 1}), LIMIT)

    assert "" == parsed.text
    assert 3 == parsed.seq
    assert parsed.is_final
    assert datetime(2026, 11, 25, tzinfo=UTC) == parsed.started_at


@given(st.one_of(st.none(), st.binary()), st.one_of(st.none(), st.binary(max_size=2000)))
def test_any_bytes_end_in_an_utterance_or_a_designed_error(
    key: bytes | None, content: bytes | None
) -> None:
    """Whatever the bytes, nothing but a BadRecordError escapes."""
    with contextlib.suppress(BadRecordError):
        assert isinstance(parse_utterance(key, content, 1000), Utterance)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
json_values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(), scalars)


@given(st.dictionaries(st.sampled_from(sorted(Utterance.model_fields)), json_values, max_size=3))
def test_any_value_in_any_field_ends_in_an_utterance_or_a_designed_error(
    changes: dict[str, object],
) -> None:
    """Whatever stands in a field, nothing but a BadRecordError escapes."""
    document = utterance() | changes
    content = json.dumps(document).encode()
    with contextlib.suppress(BadRecordError):
        assert isinstance(parse_utterance(b"k", content, LIMIT), Utterance)


def test_the_event_id_depends_on_the_place_alone() -> None:
    """The id is the same for every delivery of a record and differs between records."""
    source = Source(topic="t", partition=1, offset=2, timestamp=3)
    moved = source.model_copy(update={"offset": 4})

    assert uuid.UUID("00000000-0000-0000-0000-000000000000") != event_id(source)
    assert event_id(source) == event_id(Source(**source.model_dump()))
    assert event_id(source) != event_id(moved)


def test_the_event_id_never_changes() -> None:
    """The id of a known place is the one that consumers have already stored."""
    expected = uuid.UUID("79a735d3-685d-5dc4-a164-03daf795e6e2")

    assert expected == event_id(Source(topic="t", partition=1, offset=2, timestamp=3))


def test_each_topic_has_a_schema() -> None:
    """`schema` describes what each of the three topics carries."""
    assert {"utterance", "flag", "dead_letter_headers"} == set(json_schemas())
