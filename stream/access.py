"""Whether Kafka lets us in: asked once, on connections of our own, and answered with a reason.

aiokafka 0.14 logs why a connection failed and tries again, several times a second and for ever, be
it a wrong password or an expired certificate. So whoever is about to connect asks here first, and
whoever hears nothing for a while asks here why. An answer that no retry mends (a certificate, a
user, a right) is a ConfigurationError; any other is a BrokerUnavailableError.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest

from stream.errors import BrokerUnavailableError, ConfigurationError

# Codes of OpenSSL (x509_vfy.h).
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_WRONG_NAME: Final = {62, 64}

# How long an answer may take to a worker that runs, and may be asked to stop meanwhile.
_PATIENCE: Final = 5.0

# ValueError, KeyError and AssertionError: aiokafka's, of a broker that fails its side of SCRAM.
_FAILURES: Final = (KafkaError, OSError, TimeoutError, ValueError, KeyError, AssertionError)


def refusal(error: BaseException, where: str) -> ConfigurationError | None:
    """Return what to check at `where` if `error` is a refusal, which no retry mends; else None."""
    for cause in _causes(error):
        reason = _tls_refusal(cause) if isinstance(cause, ssl.SSLError) else _denial(cause)
        if reason is not None:
            return ConfigurationError(f"Kafka at {where}: {reason}")
    return None


class Access:
    """The way of one client to Kafka: asked before it starts, after a fault, and on silence."""

    def __init__(
        self,
        bootstrap_servers: str,
        connection: Mapping[str, Any],
        topics: Sequence[str],
        silence_seconds: float = 10.0,
    ) -> None:
        """Ask nothing yet; `connection` holds aiokafka's arguments.

        `silence_seconds` is how long Kafka may be silent.
        """
        self._servers = bootstrap_servers
        self._connection = connection
        self._topics = topics
        self._silence_seconds = silence_seconds
        self._heard = 0.0

    async def check(self, seconds: float = 20.0) -> None:
        """Return if Kafka answers, at every address that it names, and shows us the topics.

        A topic that does not exist is no error. Opens one connection to a bootstrap server and one
        to each other broker, and waits for `seconds` at most for each; a server that refuses us is
        the last that is asked. Raises ConfigurationError for a refusal, BrokerUnavailableError
        where nobody answers.
        """
        failures = []
        for host, port, _ in collect_hosts(self._servers):
            try:
                metadata = await self._ask(host, port, self._topics, seconds)
                break
            except _FAILURES as error:
                if refused := refusal(error, f"{host}:{port}"):
                    raise refused from error
                failures.append(f"{host}:{port} {_silence(error, seconds)}")
        else:
            raise BrokerUnavailableError(f"no Kafka: {'; '.join(failures)}")
        for code, name, *_ in metadata.topics:
            if denied := refusal(for_code(code)(name), f"{host}:{port}"):
                raise denied
        named = {(broker[1], broker[2]) for broker in metadata.brokers}
        others = sorted(named - {(host, port)})
        knocks = await asyncio.gather(*(self._knock(*at, seconds) for at in others))
        failures = list(filter(None, knocks))
        if failures and len(failures) == len(named):
            raise BrokerUnavailableError(
                f"{host}:{port} names brokers that cannot be reached: {'; '.join(failures)}; "
                "check their advertised.listeners"
            )

    async def fault(self, action: str, error: Exception) -> BrokerUnavailableError:
        """Return a failed action as a fault that passes; raise ConfigurationError if it is none."""
        if refused := refusal(error, self._servers):
            raise refused from error
        # Where it was only a connection, aiokafka has kept its reason to itself.
        with contextlib.suppress(BrokerUnavailableError):
            await self.check(_PATIENCE)
        return BrokerUnavailableError(f"{action}: {type(error).__name__}")

    def no_start(self, error: Exception) -> ConfigurationError:
        """Return what to check where a client's start failed with `error`."""
        if refused := refusal(error, self._servers):
            return refused
        if isinstance(error, UnknownTopicOrPartitionError):
            return ConfigurationError(
                f"Kafka at {self._servers} has no topic {self._topics[0]}; make it, or check its "
                "name in the settings"
            )
        if isinstance(error, BrokerUnavailableError):
            reason = str(error)
        else:
            reason = f"no start with Kafka at {self._servers} ({type(error).__name__})"
        return ConfigurationError(
            f"{reason}; check KCGUARD_BOOTSTRAP_SERVERS and KCGUARD_SECURITY_PROTOCOL"
        )

    def heard(self) -> None:
        """Begin to wait for a sign of Kafka anew."""
        self._heard = time.time()

    async def check_silence(self, heard: float) -> None:
        """Check if Kafka has been silent, `heard` being when it last spoke (seconds since 1970).

        Checks once every `silence_seconds` at most; raises as `check` does.
        """
        if time.time() - max(heard, self._heard) >= self._silence_seconds:
            self.heard()
            await self.check(_PATIENCE)

    async def _knock(self, host: str, port: int, seconds: float) -> str | None:
        """Return why a broker does not answer, if so; raise ConfigurationError if it refuses us."""
        try:
            await self._ask(host, port, (), seconds)
        except _FAILURES as error:
            if refused := refusal(error, f"{host}:{port}"):
                raise refused from error
            return f"{host}:{port} {_silence(error, seconds)}"
        return None

    async def _ask(self, host: str, port: int, topics: Sequence[str], seconds: float) -> Any:
        """Connect, prove who we are, and return the metadata of `topics`."""
        link = AIOKafkaConnection(host, port, **self._connection)
        try:
            async with asyncio.timeout(seconds):
                await link.connect()
                return await link.send(
                    MetadataRequest(list(topics), allow_auto_topic_creation=False)
                )
        finally:
            # Whoever is refused ends the loop next: let TLS say goodbye first, if it ever began.
            await asyncio.wait([link.close()], timeout=0.5)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _tls_refusal(error: ssl.SSLError) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return "its certificate has expired; renew it there"
        if error.verify_code == _NOT_YET_VALID:
            return "its certificate is not valid yet; check the clocks, there and here"
        if error.verify_code in _WRONG_NAME:
            return (
                "its certificate is for another name; use a name that is in it, in "
                "KCGUARD_BOOTSTRAP_SERVERS and in the brokers' advertised.listeners"
            )
        return f"its certificate is not trusted ({error.verify_message}); check KCGUARD_SSL_CA_FILE"
    # OpenSSL's own have a reason, asyncio's have none.
    reason = getattr(error, "reason", None) or ""
    if "ALERT" in reason:
        # It said so in TLS: it does not like our certificate, or nothing we speak suits it.
        return (
            f"it refuses our TLS ({reason.lower().replace('_', ' ')}); "
            "check KCGUARD_SSL_CERTIFICATE_FILE, and whether its authority is trusted there"
        )
    return None


def _denial(error: BaseException) -> str | None:
    about = ", ".join(sorted(_names(error)))
    if isinstance(error, SaslAuthenticationFailed):
        return (
            "user or password is wrong; check KCGUARD_SASL_USERNAME, KCGUARD_SASL_PASSWORD and "
            "KCGUARD_SASL_MECHANISM"
        )
    if isinstance(error, UnsupportedSaslMechanismError | IllegalSaslStateError):
        return "it does not offer this mechanism; check KCGUARD_SASL_MECHANISM"
    if isinstance(error, TopicAuthorizationFailedError):
        return (
            f"our user has no right to topic {about}; grant Read on the topic that is read, Write "
            "on those that are written, or check their names"
        )
    if isinstance(error, GroupAuthorizationFailedError):
        return f"our user has no right to group {about}; grant Read, or check KCGUARD_GROUP_ID"
    if isinstance(error, ClusterAuthorizationFailedError):
        return "our user may not write to any topic; grant Write on those that are written"
    return None


def _names(error: BaseException) -> set[str]:
    """Return what an authorisation error is about: aiokafka gives it one name, a set, or none."""
    about = next(iter(error.args), "")
    return set(map(str, about)) if isinstance(about, set | frozenset) else {str(about)}


def _silence(error: BaseException, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"did not answer within {seconds:g} s"
    if isinstance(error, ssl.SSLError):
        return f"does not speak our TLS ({getattr(error, 'reason', None) or error})"
    text = f": {error}" if isinstance(error, OSError) else ""
    return f"failed ({type(error).__name__}{text})"
