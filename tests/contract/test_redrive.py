"""`redrive` on a real Kafka: what it lists, moves, leaves alone and says."""

import asyncio
import itertools
from collections.abc import Callable

import pytest

from stream.__main__ import main
from stream.errors import BadRecordError, MalformedRecordError, SchemaViolationError
from stream.messages import ATTEMPT, dead_letter_message
from stream.ports import Message, Place, Record
from tests import build
from tests.contract.backends import KafkaBackend

SECRET = "비밀번호일이삼사"


class Bench:
    """Four topics of a Kafka, and the command line at them."""

    def __init__(self, kafka: str, topics: Callable[..., str]) -> None:
        self._backend = KafkaBackend(kafka, topics)
        self.source, self.parking = self._backend.create(), self._backend.create()
        self.dead = self._backend.create(partitions=2)
        self._arguments = [
            f"--bootstrap-servers={kafka}",
            f"--dead-letters-topic={self.dead}",
            f"--parking-topic={self.parking}",
            f"--redrive-group=group-of-{self.dead}",
        ]

    def letter(
        self,
        error: BadRecordError,
        value: bytes = SECRET.encode(),
        key: bytes | None = SECRET.encode(),
        attempts: int = 0,
        max_bytes: int = 1000,
    ) -> Message:
        """Return a dead letter as the worker makes it."""
        headers = [("trace", b"1"), (ATTEMPT, b"%d" % attempts)]
        record = Record(Place(self.source, 0), 7, 1_000, key, value, headers)
        outbox = build.outbox(max_dead_letter_bytes=max_bytes)
        return dead_letter_message(record, error, "parse", outbox)

    def write(self, *letters: Message) -> None:
        asyncio.run(self._backend.produce(self.dead, list(letters)))

    def read(self, topic: str) -> list[Record]:
        return asyncio.run(self._backend.read(topic))

    def cause(self, error: type[BadRecordError]) -> str:
        return f"parse.{error.disposition}.{error.__name__}.{self.source}"

    def redrive(self, *arguments: str) -> int:
        return main(["redrive", *self._arguments, *arguments])


@pytest.fixture
def bench(kafka: str, topics: Callable[..., str]) -> Bench:
    return Bench(kafka, topics)


def rows(shown: str) -> dict[str, list[str]]:
    """Return the numbers of a list by cause: waiting, to park, in topic."""
    lines = [line.split() for line in shown.splitlines()[1:]]
    return {line[-1]: line[:3] for line in lines}


@pytest.mark.kafka
def test_one_cause_goes_back_and_the_others_stay(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Listing counts three causes; sending moves one of them once, and says nothing of its text."""
    broken, malformed = SchemaViolationError("text: missing"), MalformedRecordError()
    keys = [b"%d" % number for number in range(6)]
    bench.write(
        *(bench.letter(broken, key=key) for key in keys),
        bench.letter(broken, attempts=2),
        bench.letter(broken, b"x" * 2000, key=None),
        bench.letter(malformed),
        Message("", SECRET.encode(), SECRET.encode(), [("kcguard.dlq.error", SECRET.encode())]),
    )
    schema, other = bench.cause(SchemaViolationError), bench.cause(MalformedRecordError)
    assert 0 == bench.redrive()
    before = capsys.readouterr()
    assert 0 == bench.redrive("--send", schema)
    first = capsys.readouterr()
    assert 0 == bench.redrive("--send", schema)
    second = capsys.readouterr()
    assert 0 == bench.redrive()
    after = capsys.readouterr()
    back, parked = bench.read(bench.source), bench.read(bench.parking)
    letters = bench.read(bench.dead)

    others = {other: ["1", "0", "1"], "foreign": ["1", "0", "1"]}
    assert others | {schema: ["8", "2", "8"]} == rows(before.out)
    assert f"{schema}: 6 sent back to {bench.source}, 2 parked in {bench.parking}\n" == first.out
    assert f"{schema}: 0 sent back to {bench.source}, 0 parked in {bench.parking}\n" == second.out
    assert others | {schema: ["0", "0", "8"]} == rows(after.out)
    assert [(key, SECRET.encode(), [("trace", b"1"), (ATTEMPT, b"1")]) for key in keys] == sorted(
        (record.key, record.value, list(record.headers)) for record in back
    )
    unchanged = [(record.key, record.value, record.headers) for record in letters]
    assert all((record.key, record.value, record.headers) in unchanged for record in parked)
    assert {b"3", b"1"} == {dict(record.headers)["kcguard.dlq.attempt"] for record in parked}
    assert not any(SECRET in out + err for out, err in (before, first, second, after))


@pytest.mark.kafka
def test_the_limit_leaves_the_rest_for_the_next_run(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs with a limit move so many each, other letters in between, until all are moved once."""
    broken, malformed = SchemaViolationError(), MalformedRecordError()
    for number in range(5):
        key = b"%d" % number
        bench.write(bench.letter(broken, key, key), bench.letter(malformed, key=key))
    sent = []
    for _ in range(4):
        assert 0 == bench.redrive("--send", bench.cause(SchemaViolationError), "--limit", "2")
        sent.append(capsys.readouterr().out.split()[1])

    assert ["2", "2", "1", "0"] == sent
    assert [b"0", b"1", b"2", b"3", b"4"] == sorted(
        r.value or b"" for r in bench.read(bench.source)
    )


@pytest.mark.kafka
def test_what_cannot_be_done_is_one_clear_line(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing topic, a topic in two roles and what is no cause end with status 2 and a remedy."""
    cause = bench.cause(SchemaViolationError)
    tries = itertools.starmap(
        bench.redrive,
        [
            ("--send", "foreign"),
            ("--send", f"{cause}.no-such-topic"),
            ("--send", cause, "--parking-topic", "no-such-topic"),
            ("--send", cause, "--parking-topic", bench.source),
            ("--dead-letters-topic", "no-such-topic"),
        ],
    )
    remedies = ["not a cause", "no topic", "no topic", "must be three topics", "no topic"]

    for remedy, status in zip(remedies, tries, strict=True):
        error = capsys.readouterr().err
        assert (2, 1) == (status, error.count("\n"))
        assert remedy in error
    assert [] == bench.read(bench.source)


def test_no_kafka_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A broker that is not there ends with status 2 and names the setting."""
    assert 2 == main(["redrive", "--bootstrap-servers=127.0.0.1:1"])
    assert "check KCGUARD_BOOTSTRAP_SERVERS" in capsys.readouterr().err
