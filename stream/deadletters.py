"""Reads dead letters, groups them by cause and decides who goes back to the source topic. Pure.

A dead letter is read with distrust: whoever may write to the topic may have put anything there.
What is no dead letter of ours has no cause; it is counted as `foreign` and left alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from stream.errors import ConfigurationError
from stream.messages import ATTEMPT, foreign, never_neither
from stream.ports import Message, Record
from stream.schema import DeadLetterHeaders

FOREIGN: Final = "foreign"

_PREFIX: Final = "kcguard.dlq."
# Nothing else gets into a cause, since a cause is printed and names a consumer group.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class Cause(NamedTuple):
    """Why letters are dead, and where they came from: what is mended and sent back together."""

    stage: str
    disposition: str
    error: str
    topic: str

    def __str__(self) -> str:
        """Return the cause in ASCII: only the topic holds dots, so it can be told apart again."""
        return ".".join(self)


@dataclass(frozen=True, slots=True)
class Letter:
    """What a dead letter says about itself."""

    cause: Cause
    attempt: int
    """How often its record was dead-lettered, this time included; at least 1."""
    pointer: bool
    """Whether the record was too large to come along: only its length and sha256 did."""

    def parks(self, max_attempts: int) -> bool:
        """Return whether sending it back is no use: it has had its attempts, or has no value."""
        return self.pointer or self.attempt >= max_attempts


@dataclass(frozen=True)
class Route:
    """Which letters move, and where those go that are not sent back."""

    cause: Cause
    parking_topic: str
    max_attempts: int


class Count(NamedTuple):
    """Dead letters of one cause."""

    total: int = 0
    waiting: int = 0
    """Neither sent back nor parked yet."""
    to_park: int = 0
    """Those of the waiting that would be parked."""
    first: str = ""
    """The first that waits, as partition:offset, for whoever wants to look at it."""


def read_letter(record: Record) -> Letter | None:
    """Return what a dead letter says, or None where it is no dead letter of ours; never raises."""
    headers = {name: value for name, value in record.headers if name.startswith(_PREFIX)}
    try:
        # Every error of decoding and of validation is a ValueError.
        said = DeadLetterHeaders.model_validate(
            {name.removeprefix(_PREFIX): value.decode() for name, value in headers.items()}
        )
    except ValueError:
        return None
    if not (_NAME.fullmatch(said.error) and _TOPIC.fullmatch(said.topic) and said.attempt >= 1):
        return None
    cause = Cause(said.stage, said.disposition, said.error, said.topic)
    # Where there was no key either, the value is empty rather than missing.
    pointer = not record.value and f"{_PREFIX}value_bytes" in headers
    return Letter(cause, said.attempt, pointer)


def parse_cause(text: str) -> Cause:
    """Return the cause that is written `text`; raises ConfigurationError where none is."""
    parts = text.split(".", maxsplit=3)
    if len(parts) < 4 or not (all(map(_NAME.fullmatch, parts[:3])) and _TOPIC.fullmatch(parts[3])):
        raise ConfigurationError(
            "--send: not a cause that can be sent back; give one as `redrive` without --send "
            "lists it (foreign records have no source topic: look at them with a tool of your own)"
        )
    return Cause(*parts)


def moved(record: Record, route: Route) -> Message | None:
    """Return what becomes of `record`: to its source topic, to the parking topic, or None: stays.

    Sent back it is the original record, but for a header that counts its attempts; parked it is
    the dead letter as it is.
    """
    letter = read_letter(record)
    if letter is None or letter.cause != route.cause:
        return None
    value = never_neither(record.key, record.value)
    if letter.parks(route.max_attempts):
        return Message(route.parking_topic, record.key, value, record.headers)
    headers = [*foreign(record.headers), (ATTEMPT, str(letter.attempt).encode())]
    return Message(letter.cause.topic, record.key, value, headers)


def take(
    records: Sequence[Record], route: Route, limit: int | None
) -> tuple[Sequence[Record], Sequence[Message]]:
    """Return the first of `records` with at most `limit` letters that move, and what they become.

    No limit: all. The records that stay count as taken: this cause has no more to do with them.
    """
    messages: list[Message] = []
    for number, record in enumerate(records):
        if limit is not None and len(messages) == limit:
            return records[:number], messages
        if message := moved(record, route):
            messages.append(message)
    return records, messages


def counted(
    so_far: Count, record: Record, letter: Letter | None, waits: bool, max_attempts: int
) -> Count:
    """Return `so_far` with one more letter of its cause."""
    total = so_far.total + 1
    if not waits:
        return so_far._replace(total=total)
    return Count(
        total=total,
        waiting=so_far.waiting + 1,
        to_park=so_far.to_park + (letter is not None and letter.parks(max_attempts)),
        first=so_far.first or f"{record.place.partition}:{record.offset}",
    )


def table(counts: Mapping[str, Count]) -> str:
    """Return the counts by cause as lines for a person; causes with the most waiting come first."""
    if not counts:
        return "no dead letters"
    rows = [("waiting", "to park", "in topic", "first", "cause")]
    for cause, count in sorted(counts.items(), key=lambda item: (-item[1].waiting, item[0])):
        numbers = (str(count.waiting), str(count.to_park), str(count.total))
        rows.append((*numbers, count.first or "-", cause))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # The last column, the cause, stands on the left of its own width, and so needs none.
    widths[-1] = 0
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
