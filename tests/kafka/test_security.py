"""The connection to a Kafka that has certificates, users and access rights.

Each test runs on the event loop of the worker, whose TLS is not that of asyncio's own loop.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

from stream.broker import KafkaBroker, KafkaConfig
from stream.errors import ConfigurationError
from stream.ports import Message
from tests.kafka.fixtures import go_without
from tests.kafka.gate import Gate
from tests.kafka.locate import KafkaUnavailableError
from tests.kafka.secured import MECHANISMS, PASSWORD, Secured, secured
from tests.worker.process import started

pytestmark = pytest.mark.kafka

T = TypeVar("T")

PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def kafka_secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    try:
        with secured(tmp_path_factory.mktemp("secured")) as server:
            yield server
    except KafkaUnavailableError as error:
        go_without(str(error))


def run(work: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE_S):
            return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


async def no_drain() -> None:
    return


async def until(broker: KafkaBroker, value: bytes) -> None:
    """Pull and commit until a record holds `value`."""
    found = False
    while not found:
        chunk = await broker.pull()
        found = value in [record.value for record in chunk.records]
        assert not chunk.records or await broker.commit(chunk)


async def start_refused(broker: KafkaBroker) -> str:
    with pytest.raises(ConfigurationError) as caught:
        await broker.start(no_drain)
    return str(caught.value)


async def refused(broker: KafkaBroker, action: Callable[[], Awaitable[object]]) -> str:
    """Repeat the action until it is refused, stop, and return why."""
    try:
        while True:
            await action()
    except ConfigurationError as error:
        return str(error)
    finally:
        await broker.stop()


@pytest.mark.parametrize(
    ("listener", "settings"),
    [
        ("TLS", {}),
        *(("SASL", {"sasl_mechanism": mechanism}) for mechanism in MECHANISMS),
        ("CLEAR", {}),
    ],
)
def test_a_record_comes_in_and_a_flag_goes_out(
    kafka_secured: Secured, listener: str, settings: dict[str, Any]
) -> None:
    """With the right certificate, or user and password, the worker reads, writes and commits."""
    value = uuid.uuid4().bytes
    broker = kafka_secured.broker(listener, **settings)

    async def work() -> None:
        await broker.start(no_drain)
        try:
            await until(broker, value)
            await broker.publish([Message(kafka_secured.topics["flags"], b"call", value, [])])
        finally:
            await broker.stop()

    kafka_secured.produce(value)
    run(work())

    assert value == kafka_secured.last_flag()


WRONG_USER = "user or password is wrong; check KCGUARD_SASL_USERNAME, KCGUARD_SASL_PASSWORD"
WRONG_PROTOCOL = "check KCGUARD_BOOTSTRAP_SERVERS and KCGUARD_SECURITY_PROTOCOL"
NO_CERTIFICATE = {"ssl_certificate_file": None, "ssl_key_file": None}
NO_TLS = {"security_protocol": "SASL_PLAINTEXT", "ssl_ca_file": None}


@pytest.mark.parametrize(
    ("listener", "settings", "most", "expected"),
    [
        *(
            ("SASL", {"sasl_mechanism": mechanism, "sasl_password": "wrong"}, 1, WRONG_USER)
            for mechanism in MECHANISMS
        ),
        ("SASL", {"sasl_username": "nobody"}, 1, WRONG_USER),
        ("CLEAR", {"sasl_mechanism": "PLAIN"}, 1, "check KCGUARD_SASL_MECHANISM"),
        ("SASL", {"host": "127.0.0.1"}, 1, "is for another name; use a name that is in it"),
        ("STRAY", {}, 2, "is for another name; use a name that is in it"),
        ("EXPIRED", {}, 1, "its certificate has expired"),
        ("TLS", NO_CERTIFICATE, 1, "check KCGUARD_SSL_CERTIFICATE_FILE"),
        ("SASL", {"sasl_username": "sightless"}, 1, "no right to topic"),
        ("SASL", {"sasl_username": "groupless"}, 4, "grant Read, or check KCGUARD_GROUP_ID"),
        ("SASL", {"sasl_username": "wordless"}, 7, "may not write to any topic"),
        ("SASL", NO_TLS, 1, WRONG_PROTOCOL),
        ("CLEAR", {"security_protocol": "SASL_SSL"}, 1, WRONG_PROTOCOL),
        ("LOST", {}, 1, "check their advertised.listeners"),
    ],
)
def test_a_refusal_ends_the_start(
    kafka_secured: Secured, listener: str, settings: dict[str, Any], most: int, expected: str
) -> None:
    """A start that Kafka refuses ends with what to check, and is not tried again."""
    gate = kafka_secured.gates[listener]
    before = gate.connections

    reason = run(start_refused(kafka_secured.broker(listener, **settings)))

    assert expected in reason
    assert 1 <= gate.connections - before <= most


def test_a_certificate_of_strangers_ends_the_start(kafka_secured: Secured) -> None:
    """A certificate that no authority of ours signed is refused, on the first connection."""
    gate = kafka_secured.gates["SASL"]
    before = gate.connections

    reason = run(start_refused(kafka_secured.broker("SASL", ssl_ca_file=kafka_secured.stranger)))

    assert "not trusted" in reason
    assert "check KCGUARD_SSL_CA_FILE" in reason
    assert 1 == gate.connections - before


async def run_refused(broker: KafkaBroker, action: Callable[[], Awaitable[object]]) -> str:
    await broker.start(no_drain)
    return await refused(broker, action)


def test_a_topic_that_may_not_be_read_ends_the_run(kafka_secured: Secured) -> None:
    """Where only reading is denied, the first pull says for which topic."""
    gate = kafka_secured.gates["SASL"]
    before = gate.connections
    broker = kafka_secured.broker("SASL", sasl_username="unread")

    reason = run(run_refused(broker, broker.pull))

    assert f"no right to topic {kafka_secured.topics['source']}; grant Read" in reason
    assert gate.connections - before <= 7


def test_a_topic_that_may_not_be_written_ends_the_run(kafka_secured: Secured) -> None:
    """Where writing is denied, the first flag says for which topic."""
    gate = kafka_secured.gates["SASL"]
    before = gate.connections
    flags = kafka_secured.topics["flags"]
    broker = kafka_secured.broker("SASL", sasl_username="unwritten")

    reason = run(run_refused(broker, lambda: broker.publish([Message(flags, b"k", b"v", [])])))

    assert f"no right to topic {flags}; grant Read on the topic that is read, Write" in reason
    assert gate.connections - before <= 7


# A connection that is being refused as the loop ends is left to end by aiokafka.
@pytest.mark.filterwarnings("ignore:unclosed resource:ResourceWarning")
def test_a_user_who_is_deleted_ends_the_run(kafka_secured: Secured) -> None:
    """A worker that is connected, and is refused when it connects anew, stops within seconds."""
    gate = kafka_secured.gates["SASL"]
    broker = kafka_secured.broker("SASL", sasl_username="deposed")
    value = uuid.uuid4().bytes

    async def work() -> tuple[int, str]:
        await broker.start(no_drain)
        try:
            await until(broker, value)
            await asyncio.to_thread(kafka_secured.delete_scram_user, "deposed")
        except BaseException:
            await broker.stop()
            raise
        before = gate.connections
        gate.drop()
        reason = await refused(broker, broker.pull)
        return gate.connections - before, reason

    kafka_secured.produce(value)
    connections, reason = run(work())

    assert "user or password is wrong" in reason
    # 30 were counted: aiokafka goes on trying until the silence is looked into.
    assert connections <= 60


def test_a_server_that_never_answers_ends_the_start() -> None:
    """A port that accepts and says nothing ends the start in seconds, on one connection."""
    with Gate(None) as silent:
        config = KafkaConfig(f"127.0.0.1:{silent.port}", "group", "topic")
        reason = run(start_refused(KafkaBroker(config, on_rebalance=lambda: None)))

    assert f"did not answer within 20 s; {WRONG_PROTOCOL}" in reason
    assert 1 == silent.connections


def test_the_process_says_it_in_one_line(kafka_secured: Secured, tmp_path: Path) -> None:
    """`run` with a wrong password, from a file, ends with status 2; no log shows the password."""
    (tmp_path / "kcguard_sasl_password").write_text(f"not-{PASSWORD}")
    with started(
        tmp_path / "worker.log",
        ["stream", "run"],
        bootstrap_servers=kafka_secured.address("SASL"),
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="worker",
        ssl_ca_file=str(kafka_secured.authority),
        secrets_dir=str(tmp_path),
    ) as run:
        status = run.process.wait(PATIENCE_S)
    text = run.log

    assert 2 == status
    assert 1 == text.count("user or password is wrong")
    assert "ERROR" not in text
    assert PASSWORD not in text
