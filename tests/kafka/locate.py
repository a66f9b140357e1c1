"""Finds a real Kafka for the tests: a given one, one in a container, or a process of our own."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from tests.kafka.server import (
    JarsUnavailableError,
    KafkaServer,
    Setup,
    resolve_jars,
    why_not_ready,
)

ADDRESS_VARIABLE = "KCGUARD_TEST_KAFKA"
ENGINE_TIMEOUT_S = 3
CONTAINER_TIMEOUT_S = 120


class KafkaUnavailableError(RuntimeError):
    """No Kafka can be had on this machine; the message says what is missing for each way."""


@contextmanager
def locate() -> Iterator[str]:
    """Yield the `host:port` of a Kafka that answers, from the first of three ways that is open.

    1. `KCGUARD_TEST_KAFKA`: raises `ConnectionError` if it does not answer. Whoever names a server
       wants that one, so there is no falling back.
    2. A container, if a Docker engine answers and can run it.
    3. `KafkaServer`, if `java` and `mvn` are on PATH.

    Raises `KafkaUnavailableError` if none is, and `KafkaServerFailedError` if the third breaks.
    """
    given = os.environ.get(ADDRESS_VARIABLE)
    if given:
        reason = why_not_ready(given)
        if reason is not None:
            raise ConnectionError(f"{ADDRESS_VARIABLE}={given} is not a working Kafka: {reason}")
        yield given
        return
    reasons: list[str] = []
    with ExitStack() as running:
        for way in (_in_container, _in_process):
            try:
                bootstrap_servers = running.enter_context(way())
            except KafkaUnavailableError as error:
                reasons.append(str(error))
                continue
            yield bootstrap_servers
            return
    raise KafkaUnavailableError("no Kafka for the tests: " + "; ".join(reasons))


@contextmanager
def locate_process(
    setup: Setup | None = None, start_timeout_s: float = 120.0
) -> Iterator[KafkaServer]:
    """Yield a running `KafkaServer`, for tests that stop, kill or pause it, or set it up.

    Raises `KafkaUnavailableError` if this machine has not what it takes.
    """
    if shutil.which("java") is None:
        raise KafkaUnavailableError("java is not on PATH")
    try:
        resolve_jars()
    except JarsUnavailableError as error:
        raise KafkaUnavailableError(str(error)) from error
    with KafkaServer(start_timeout_s, setup=setup) as server:
        yield server


@contextmanager
def _in_process() -> Iterator[str]:
    with locate_process() as server:
        yield server.bootstrap_servers


@contextmanager
def _in_container() -> Iterator[str]:
    # Imported here: neither package is needed where one of the other ways is taken.
    try:
        import docker
        from docker.errors import DockerException
        from docker.utils import parse_host
        from testcontainers.community.kafka import KafkaContainer
    except ImportError as error:
        raise KafkaUnavailableError(f"no container: {error}") from error
    try:
        kind, _, path = parse_host(os.environ.get("DOCKER_HOST")).partition("://")
        if kind == "http+unix":
            # docker's client never closes the socket of a refused call, and its ResourceWarning
            # would fail whatever test runs next; so the refusal is met here.
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
        with closing(docker.from_env(timeout=ENGINE_TIMEOUT_S)) as engine:
            engine.ping()
    except (DockerException, OSError) as error:
        raise KafkaUnavailableError("no Docker engine answers") from error
    container = KafkaContainer().with_kraft()
    container.with_env("KAFKA_NUM_PARTITIONS", "4")
    container.with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
    container.with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
    container.with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
    container.with_env("KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS", "1000")
    with ExitStack() as running:
        running.callback(container.stop)
        try:
            container.start(timeout=CONTAINER_TIMEOUT_S)
        except (DockerException, RuntimeError, OSError) as error:
            # An engine that may not pull the image is as good as none; RuntimeError is
            # testcontainers' own, and its time-out is an OSError.
            raise KafkaUnavailableError(f"the Kafka container did not start: {error}") from error
        yield container.get_bootstrap_server()
