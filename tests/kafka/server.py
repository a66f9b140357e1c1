"""One Apache Kafka node as a child process, for tests that must not trust a fake.

The jars come from Maven once (`pom.xml` beside this file) and stay in the git-ignored `build/`.
A server is one KRaft node, broker and controller at once, on two loopback ports that stay the same
across restarts, with its data and log in a temporary directory of its own.
"""

import base64
import hashlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

POM = Path(__file__).with_name("pom.xml")
JAR_CACHE = Path(__file__).resolve().parents[2] / "build" / "kafka-jars"

RESOLVE_TIMEOUT_S = 600.0
FORMAT_TIMEOUT_S = 120.0
PROBE_TIMEOUT_S = 5.0
PROBE_PAUSE_S = 0.2
LOG_LINES_SHOWN = 30

JVM_FLAGS = (
    "-Xmx512m",
    # Compiling with the quick first tier only: a server that lives for seconds starts faster.
    "-XX:TieredStopAtLevel=1",
    # With INFO the chatter of the shutdown would push the reason for it out of the log's tail.
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)

# librdkafka writes every refused connection to standard error, and refusals are what a probe sees.
SILENT = {"log_level": 0}


class JarsUnavailableError(RuntimeError):
    """Kafka's jars are not in the cache and Maven could not bring them."""


class KafkaServerFailedError(RuntimeError):
    """The Kafka process died or was not ready in time; the message ends with its last log lines."""


def resolve_jars(cache: Path = JAR_CACHE) -> Path:
    """Return a directory with the server's jars, asking Maven only the first time.

    The directory is named after the content of `pom.xml`, so a changed version is a new directory,
    and it appears by a rename, so one that exists is complete. Blocks for up to
    `RESOLVE_TIMEOUT_S`; raises `JarsUnavailableError`.
    """
    jars = cache / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise JarsUnavailableError("mvn is not on PATH, and Kafka's jars are not cached")
    cache.mkdir(parents=True, exist_ok=True)
    # Inside the cache, because a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(prefix="resolving-", dir=cache) as scratch:
        fresh = Path(scratch) / "jars"
        command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
        try:
            done = subprocess.run(
                [*command, f"-DoutputDirectory={fresh}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=RESOLVE_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise JarsUnavailableError(f"mvn took longer than {RESOLVE_TIMEOUT_S:.0f} s") from error
        if done.returncode != 0:
            raise JarsUnavailableError(f"mvn could not resolve Kafka's jars:\n{_tail(done.stdout)}")
        try:
            fresh.rename(jars)
        except OSError:
            # Two runs may resolve at once; the one that came second uses the jars of the first.
            if not jars.is_dir():
                raise
    return jars


def why_not_ready(bootstrap_servers: str, timeout_s: float = PROBE_TIMEOUT_S) -> str | None:
    """Return None if a Kafka answers there and every partition has a leader, else the reason.

    Only the first address is probed by TCP. Blocks for up to twice `timeout_s`; raises
    `ValueError` for an address that is not `host:port`.
    """
    host, _, port = bootstrap_servers.split(",")[0].rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"not host:port: {bootstrap_servers!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s).close()
    except OSError as error:
        return f"no TCP connection: {error}"
    return why_not_led(AdminClient({"bootstrap.servers": bootstrap_servers, **SILENT}), timeout_s)


def why_not_led(admin: AdminClient, timeout_s: float, topic: str | None = None) -> str | None:
    """Return None if every partition of `topic`, or of all topics, has a leader, else the reason.

    An open port is not enough: a broker that the controller has fenced answers too, and leads
    nothing. Blocks for up to `timeout_s`.
    """
    try:
        metadata = admin.list_topics(topic, timeout=timeout_s)
    except KafkaException as error:
        return f"no metadata: {error.args[0].str()}"
    if not metadata.brokers:
        return "no broker is registered"
    for name, described in metadata.topics.items():
        if described.error is not None:
            return f"topic {name}: {described.error.str()}"
        for partition in described.partitions.values():
            if partition.leader not in metadata.brokers:
                return f"partition {partition.id} of topic {name} has no leader"
    return None


@dataclass(frozen=True)
class Listener:
    """A way in besides the plain one; `advertised` is the `host:port` that clients are sent to."""

    name: str
    protocol: str
    port: int
    advertised: str


@dataclass(frozen=True)
class Setup:
    """What a server has besides what every one has."""

    listeners: Sequence[Listener] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    format_arguments: Sequence[str] = ()


class KafkaServer:
    """A Kafka node that can be started, stopped, killed and paused; also a context manager.

    `bootstrap_servers` (`host:port`) is fixed from the start. `stop` and `kill` keep ports and
    data, so `start` brings the same server back; `close`, or leaving the `with` block, stops it
    and removes the data. Every method blocks, and every wait has an end. Not thread-safe.
    """

    def __init__(
        self,
        start_timeout_s: float = 120.0,
        stop_timeout_s: float = 30.0,
        setup: Setup | None = None,
    ) -> None:
        """Reserve ports and a directory; nothing runs yet.

        `start_timeout_s` bounds the wait for readiness (8 s on two idle cores, much more on busy
        ones); after `stop_timeout_s` a SIGTERM becomes a SIGKILL.
        """
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._setup = setup or Setup()
        self._client_port, self._controller_port = _free_ports(2)
        self.bootstrap_servers = f"127.0.0.1:{self._client_port}"
        self._home = tempfile.TemporaryDirectory(prefix="kcguard-kafka-")
        self._data = Path(self._home.name) / "data"
        self._log = Path(self._home.name) / "server.log"
        self._properties = Path(self._home.name) / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the server; a server that does not start leaves nothing behind."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server and remove its data."""
        self.close()

    def start(self) -> None:
        """Start the server, or start it again on the same data, and wait until it serves.

        Raises `JarsUnavailableError`, or `KafkaServerFailedError` with the process gone.
        """
        if self._process is not None:
            raise RuntimeError("the Kafka server has been started already")
        java = shutil.which("java")
        if java is None:
            raise KafkaServerFailedError("java is not on PATH")
        class_path = ["-cp", f"{resolve_jars()}/*"]
        self._format_once([java, *class_path, "kafka.tools.StorageTool"])
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [java, *JVM_FLAGS, *class_path, "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Out of the terminal's process group: Ctrl-C must reach the tests first, whose
                # clean-up still wants a server to talk to.
                start_new_session=True,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut the server down in good order, by force once the bound has passed."""
        if self._process is None:
            return
        self.resume()  # a paused process would keep the SIGTERM pending
        self._process.terminate()
        try:
            self._process.wait(self._stop_timeout_s)
            self._process = None
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the server as `kill -9` does: no flush, no goodbye to its clients."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freeze the process: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on; does nothing to one that runs."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop the server and remove its data and log."""
        self.stop()
        self._home.cleanup()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("the Kafka server is not running")
        self._process.send_signal(number)

    def _format_once(self, storage_tool: list[str]) -> None:
        if (self._data / "meta.properties").exists():
            return
        self._properties.write_text(self._settings(), encoding="utf-8")
        command = ["format", "-t", _cluster_id(), "-c", str(self._properties)]
        command += self._setup.format_arguments
        with self._log.open("ab") as log:
            try:
                subprocess.run(
                    [*storage_tool, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=FORMAT_TIMEOUT_S,
                    check=True,
                )
            except subprocess.SubprocessError as error:
                raise self._failure(f"the storage could not be formatted ({error})") from error

    def _settings(self) -> str:
        controller = f"127.0.0.1:{self._controller_port}"
        extra = self._setup.listeners
        listen = [f"{one.name}://127.0.0.1:{one.port}" for one in extra]
        advertise = [f"{one.name}://{one.advertised}" for one in extra]
        protocols = [f"{one.name}:{one.protocol}" for one in extra]
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(
                [f"PLAINTEXT://{self.bootstrap_servers}", f"CONTROLLER://{controller}", *listen]
            ),
            "advertised.listeners": ",".join([f"PLAINTEXT://{self.bootstrap_servers}", *advertise]),
            "listener.security.protocol.map": ",".join(
                ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT", *protocols]
            ),
            "log.dirs": str(self._data),
            "num.partitions": "4",
            # A misspelt topic must fail a test, not come into being.
            "auto.create.topics.enable": "false",
            "default.replication.factor": "1",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # 50 partitions each by default, made while the first test waits for them.
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.num.partitions": "1",
            # The default waits 3 s for more members before a group's first assignment.
            "group.initial.rebalance.delay.ms": "0",
            # After `kill -9` the node waits for the session of its dead self to run out before it
            # is let in: 7 s until ready instead of 14 s with the default session of 9 s.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            # The default forbids the short sessions that make a test of a lost member quick.
            "group.min.session.timeout.ms": "1000",
            **self._setup.settings,
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        while (reason := why_not_ready(self.bootstrap_servers)) is not None:
            if time.monotonic() >= deadline:
                raise self._failure(f"not ready after {self._start_timeout_s:.0f} s ({reason})")
            try:
                code = process.wait(PROBE_PAUSE_S)
            except subprocess.TimeoutExpired:
                continue
            raise self._failure(f"the process ended with status {code}")

    def _failure(self, what: str) -> KafkaServerFailedError:
        log = self._log.read_text(encoding="utf-8", errors="replace")
        return KafkaServerFailedError(f"Kafka server: {what}; its last log lines:\n{_tail(log)}")


def _free_ports(count: int) -> list[int]:
    """Return `count` free loopback ports, all below the range that outgoing connections use.

    While a killed server is away, its clients keep calling. On a port from that range (32768 and
    up on Linux) such a call may be given the very port it calls, connect to itself, and keep the
    server from coming back.
    """
    ports: list[int] = []
    with ExitStack() as held:
        # Not the shared generator: a test plugin may seed it, and parallel runs would collide.
        for port in random.SystemRandom().sample(range(20_000, 32_000), 200):
            holder = held.enter_context(socket.socket())
            try:
                holder.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise KafkaServerFailedError("no free loopback ports")


def _cluster_id() -> str:
    """Return a UUID as Kafka writes it; a leading dash would read as an option."""
    return "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def _tail(text: str) -> str:
    """Return the last lines without Java's stack frames, which would crowd out what was said."""
    lines = [line for line in text.splitlines() if not line.startswith("\t")]
    return "\n".join(lines[-LOG_LINES_SHOWN:])
