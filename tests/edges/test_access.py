"""What is a refusal and what may pass, without a Kafka; the ends of clients that hang or fail."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)

from stream.access import Access, refusal
from stream.closing import close_consumer
from stream.errors import BrokerUnavailableError, ConfigurationError


def caused_by(error: Exception) -> KafkaConnectionError:
    outer = KafkaConnectionError("closed")
    outer.__cause__ = error
    return outer


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


def not_verified(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "not verified")
    error.verify_code, error.verify_message = code, "why"
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SaslAuthenticationFailed("no"), "user or password is wrong"),
        (caused_by(SaslAuthenticationFailed()), "user or password is wrong"),
        (TopicAuthorizationFailedError({"b", "a"}), "no right to topic a, b;"),
        (GroupAuthorizationFailedError("crew"), "no right to group crew;"),
        (not_verified(9), "not valid yet"),
        (not_verified(10), "has expired"),
        (not_verified(64), "for another name"),
        (not_verified(19), r"not trusted \(why\)"),
        (caused_by(alert("TLSV13_ALERT_CERTIFICATE_REQUIRED")), "KCGUARD_SSL_CERTIFICATE_FILE"),
    ],
)
def test_a_refusal_says_what_to_check(error: Exception, expected: str) -> None:
    """Certificates, users and rights are refusals, also as the cause of another error."""
    with pytest.raises(ConfigurationError, match=f"Kafka at host:1: .*{expected}"):
        raise refusal(error, "host:1") or error


@pytest.mark.parametrize(
    "error",
    [
        KafkaConnectionError("closed"),
        NodeNotReadyError("not ready"),
        TimeoutError(),
        ConnectionResetError(),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
        caused_by(ConnectionResetError()),
    ],
)
def test_what_may_pass_is_no_refusal(error: Exception) -> None:
    """A broker that is away, or goes in the middle of TLS, has refused nobody."""
    assert refusal(error, "host:1") is None


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Yield a port on which nobody listens, and nobody else will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def access(port: int, **given: float) -> Access:
    servers = f"127.0.0.1:{port},localhost:{port}"
    return Access(servers, {"security_protocol": "PLAINTEXT"}, ("topic",), **given)


async def test_every_server_that_is_away_is_named(closed_port: int) -> None:
    """Where no bootstrap server answers, the error names each."""
    with pytest.raises(BrokerUnavailableError) as caught:
        await access(closed_port).check()

    assert "no Kafka: " in str(caught.value)
    assert f"127.0.0.1:{closed_port} failed (ConnectionRefusedError" in str(caught.value)
    assert f"localhost:{closed_port} failed (" in str(caught.value)


async def test_a_fault_stays_what_it_was(closed_port: int) -> None:
    """A failed action is a fault that passes for as long as nobody refuses us."""
    fault = await access(closed_port).fault("commit", KafkaConnectionError("closed"))

    assert "commit: KafkaConnectionError" == str(fault)


async def test_a_silence_is_looked_into_once_at_a_time(closed_port: int) -> None:
    """Kafka is asked when it has been silent for too long, and then not again for as long."""
    way = access(closed_port, silence_seconds=1000.0)

    with pytest.raises(BrokerUnavailableError):
        await way.check_silence(0.0)
    await way.check_silence(0.0)


class Closable:
    """A consumer, and its client, that end as they are told to."""

    def __init__(self, end: Callable[[], Awaitable[None]]) -> None:
        self.end = end
        self.closed = 0
        self._client = self

    async def stop(self) -> None:
        await self.end()

    async def close(self) -> None:
        self.closed += 1


async def hang() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise KafkaError("away")


async def hand_on() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("end", [hang, fail, hand_on])
async def test_a_consumer_is_closed_however_it_ends(end: Callable[[], Awaitable[None]]) -> None:
    """One that hangs, fails or hands on the cancellation of its own task is closed all the same."""
    consumer = Closable(end)

    await close_consumer(consumer, seconds=0.01)

    assert 1 == consumer.closed


async def test_whoever_closes_can_be_cancelled() -> None:
    """A cancellation that is meant for the caller reaches it."""
    task = asyncio.create_task(close_consumer(Closable(hang), seconds=1000.0))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
