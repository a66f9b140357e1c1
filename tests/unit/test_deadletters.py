"""Dead letters as they are read, counted and sent on their way."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.deadletters import (
    Cause,
    Count,
    Letter,
    Route,
    counted,
    moved,
    parse_cause,
    read_letter,
    table,
    take,
)
from stream.errors import ConfigurationError, OversizedRecordError, SchemaViolationError
from stream.messages import ATTEMPT, attempts, dead_letter_message
from stream.ports import Headers, Message, Place, Record
from stream.schema import DeadLetterHeaders
from tests import build

CAUSE = Cause("parse", "schema", "SchemaViolationError", "transcripts")
ROUTE = Route(CAUSE, parking_topic="parked", max_attempts=3)
NAMES = [f"kcguard.dlq.{name}" for name in (*DeadLetterHeaders.model_fields, "value_bytes")]


def as_record(message: Message) -> Record:
    return Record(Place(message.topic, 0), 0, 0, message.key, message.value, message.headers)


def letter(
    value: bytes | None = b"{}",
    headers: Headers = (),
    key: bytes | None = b"call",
    max_bytes: int = 1000,
) -> Record:
    """Return the dead letter that the worker makes of a record that broke the contract."""
    return as_record(
        dead_letter_message(
            Record(Place("transcripts", 0), 7, 1_000, key, value, headers),
            SchemaViolationError("text: missing"),
            "parse",
            build.outbox(max_dead_letter_bytes=max_bytes),
        )
    )


def changed(record: Record, name: str, value: bytes) -> Record:
    """Return `record` with one of the worker's headers changed."""
    headers = dict(record.headers) | {f"kcguard.dlq.{name}": value}
    return dataclasses.replace(record, headers=tuple(headers.items()))


def test_a_letter_of_the_worker_is_read() -> None:
    """What the worker wrote is read as cause, attempt and whether the value came along."""
    assert Letter(CAUSE, attempt=1, pointer=False) == read_letter(letter())
    assert Letter(CAUSE, attempt=1, pointer=True) == read_letter(letter(b"x" * 101, max_bytes=100))


def test_a_cause_survives_being_written() -> None:
    """The text of a cause gives the same cause, although its topic holds dots."""
    cause = CAUSE._replace(topic="transcripts.utterances")

    assert "parse.schema.SchemaViolationError.transcripts.utterances" == str(cause)
    assert cause == parse_cause(str(cause))


@pytest.mark.parametrize("text", ["", "foreign", "parse.schema.Error", "a.b.c.", "a.b.c.토픽"])
def test_what_is_no_cause_cannot_be_sent(text: str) -> None:
    """A text that is no cause is refused, with the way to a right one."""
    with pytest.raises(ConfigurationError, match="not a cause"):
        parse_cause(text)


hostile_headers = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, ATTEMPT, "kcguard.dlq.", "trace"]) | st.text(),
        st.binary() | st.sampled_from([b"parse", b"schema", b"1", b"-1", b"9" * 5000, b"\xff"]),
    )
)


@given(hostile_headers, st.none() | st.binary(), st.booleans())
def test_hostile_headers_never_raise(
    headers: list[tuple[str, bytes]], value: bytes | None, after_ours: bool
) -> None:
    """Whatever stands in the headers, a cause is ASCII or there is none, and nothing is raised."""
    ours = list(letter().headers) if after_ours else []
    record = Record(Place("dlq", 0), 0, 0, None, value, (*ours, *headers))
    read = read_letter(record)

    assert 0 <= attempts(record.headers) < 10**9
    assert read is None or str(read.cause).isascii()
    assert read is None or read.cause == parse_cause(str(read.cause))
    assert read is None or read.attempt >= 1
    assert (read is not None and read.cause == CAUSE) == (moved(record, ROUTE) is not None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stage", b"elsewhere"),
        ("disposition", b""),
        ("error", "씨발".encode()),
        ("error", b"a.b"),
        ("error", b"x" * 101),
        ("topic", b"two words"),
        ("topic", b""),
        ("attempt", b"0"),
        ("attempt", b"many"),
        ("partition", b"\xff"),
    ],
)
def test_what_no_worker_writes_is_foreign(name: str, value: bytes) -> None:
    """One header that the worker would not write like this makes the letter foreign."""
    assert read_letter(changed(letter(), name, value)) is None


def test_a_letter_goes_back_as_the_record_it_was() -> None:
    """Sent back it has its key, value and foreign headers, and of ours only its attempts."""
    record = letter(b"\xff", headers=[("trace", b"1"), ("trace", b"2")])
    back = moved(record, ROUTE)

    assert (
        Message(
            "transcripts", b"call", b"\xff", [("trace", b"1"), ("trace", b"2"), (ATTEMPT, b"1")]
        )
        == back
    )


def test_attempts_rise_from_visit_to_visit_until_the_letter_parks() -> None:
    """Each failure counts one more, in one header, and the last letter parks as it is."""
    record, seen = letter(), list[int]()
    while (message := moved(record, ROUTE)) and message.topic != "parked":
        assert 1 == [name for name, _ in message.headers].count(ATTEMPT)
        seen.append(attempts(message.headers))
        record = letter(message.value, message.headers)
        assert ATTEMPT not in dict(record.headers)

    assert [1, 2] == seen
    assert Message("parked", record.key, record.value, record.headers) == message


@pytest.mark.parametrize("said", [b"", b"-1", b"two", b"1.5", b"\xff", b" 2", b"9" * 10])
def test_a_garbled_attempt_counts_as_none(said: bytes) -> None:
    """Where the header holds no number of up to nine digits the failure is the first one."""
    read = read_letter(letter(headers=[(ATTEMPT, said)]))

    assert Letter(CAUSE, attempt=1, pointer=False) == read


def test_a_pointer_parks() -> None:
    """Without a value there is nothing to send back, at whatever attempt."""
    for key in (b"call", None):
        record = letter(b"x" * 101, key=key, max_bytes=100)
        message = moved(record, ROUTE)

        assert message is not None
        assert ("parked", list(record.headers)) == (message.topic, list(message.headers))


def test_a_record_that_had_no_value_is_no_pointer() -> None:
    """A letter whose record had no value goes back without one."""
    back = moved(letter(None), ROUTE)

    assert back is not None
    assert ("transcripts", None) == (back.topic, back.value)


def test_a_letter_has_a_key_or_a_value() -> None:
    """Where key and value are both missing the value is empty: our client sends no such thing."""
    record = letter(None, key=None)
    back = moved(dataclasses.replace(record, value=None), ROUTE)

    assert (None, b"") == (record.key, record.value)
    assert back is not None
    assert (None, b"") == (back.key, back.value)


def test_other_causes_stay() -> None:
    """A letter of another cause, and what is no letter, are left alone."""
    oversized = dead_letter_message(
        build.record(b"x"), OversizedRecordError(), "parse", build.outbox()
    )

    assert moved(as_record(oversized), ROUTE) is None
    assert moved(build.record(b"x"), ROUTE) is None


@pytest.mark.parametrize(
    ("limit", "last", "moving"), [(1, 1, 1), (2, 3, 2), (3, 4, 3), (4, 5, 3), (None, 5, 3)]
)
def test_the_limit_counts_what_moves(limit: int | None, last: int, moving: int) -> None:
    """Taking ends with the letter that fills the limit; what stays before it is taken as well."""
    records = [
        dataclasses.replace(letter() if offset in (1, 3, 4) else build.record(b"x"), offset=offset)
        for offset in range(6)
    ]
    taken, messages = take(records, ROUTE, limit)

    assert (list(range(last + 1)), moving) == ([record.offset for record in taken], len(messages))


def test_counts_show_what_waits_and_nothing_of_the_letters() -> None:
    """The list has waiting, parking and all letters by cause, and where the first one waits."""
    records = [
        dataclasses.replace(letter(key="비밀".encode(), headers=[(ATTEMPT, b"%d" % n)]), offset=n)
        for n in range(4)
    ]
    count = Count()
    for record in records:
        waits = record.offset > 0
        count = counted(count, record, read_letter(record), waits, max_attempts=3)

    assert Count(total=4, waiting=3, to_park=2, first="0:1") == count
    assert (
        "waiting  to park  in topic  first  cause\n"
        "      3        2         4    0:1  a.b.c.d\n"
        "      0        0         1      -  foreign"
    ) == table({"foreign": Count(total=1), "a.b.c.d": count})
    assert "no dead letters" == table({})
