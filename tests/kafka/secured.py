"""A Kafka with certificates, users and access rights, for the tests of the connection's security.

Besides the plain listener, whose clients may do everything, there are those that the tests enter:
SASL (TLS and a user), TLS (a client certificate), EXPIRED (a certificate of yesterday) and CLEAR (a
user without TLS), and two that send clients on to a wrong place: LOST to a port where nobody
listens, STRAY to a name that is not in its certificate. Clients come to each through a gate that
counts them, and but for LOST are sent there again.
"""

import datetime
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # see fixtures.py
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
)
from cryptography.hazmat.primitives import serialization

from stream.broker import KafkaBroker, KafkaConfig
from stream.settings import KafkaSettings
from tests.kafka.fixtures import TOPIC_TIMEOUT_S, make_topic
from tests.kafka.gate import Gate
from tests.kafka.locate import locate_process
from tests.kafka.server import SILENT, KafkaServer, Listener, Setup, _free_ports

PROTOCOLS = {
    "SASL": "SASL_SSL",
    "TLS": "SSL",
    "EXPIRED": "SSL",
    "CLEAR": "SASL_PLAINTEXT",
    "LOST": "PLAINTEXT",
    "STRAY": "SSL",
}
SENT_TO = {"LOST": "localhost:1", "STRAY": "127.0.0.1:{port}"}
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PASSWORD = "Staple-Horse-Battery"

READ, WRITE, DESCRIBE = AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE
# What each user may do with the three topics and with any group; the names say what they lack.
RIGHTS: Mapping[str, Mapping[str, AclOperation]] = {
    "worker": {"source": READ, "flags": WRITE, "dead": WRITE, "group": READ},
    "sightless": {"flags": WRITE, "dead": WRITE, "group": READ},
    "unread": {"source": DESCRIBE, "flags": WRITE, "dead": WRITE, "group": READ},
    "groupless": {"source": READ, "flags": WRITE, "dead": WRITE},
    "unwritten": {"source": READ, "flags": DESCRIBE, "dead": WRITE, "group": READ},
    "wordless": {"source": READ, "flags": DESCRIBE, "dead": DESCRIBE, "group": READ},
    "deposed": {"source": READ, "flags": WRITE, "dead": WRITE, "group": READ},
}


@dataclass(frozen=True)
class Secured:
    """The running server, its gates by listener, its topics by use, and the files of a client."""

    server: KafkaServer
    gates: Mapping[str, Gate]
    topics: Mapping[str, str]
    authority: Path
    stranger: Path
    certificate: Path
    key: Path

    def broker(self, listener: str, host: str = "localhost", **given: Any) -> KafkaBroker:
        """Return an adapter that enters by `listener`; `given` settings replace the right ones."""
        protocol = PROTOCOLS[listener]
        settings: dict[str, Any] = {"security_protocol": protocol}
        if protocol.startswith("SASL_"):
            settings |= {"sasl_username": "worker", "sasl_password": PASSWORD}
        if protocol.endswith("SSL"):
            settings["ssl_ca_file"] = self.authority
        if listener == "TLS":
            settings |= {"ssl_certificate_file": self.certificate, "ssl_key_file": self.key}
        config = KafkaConfig(
            bootstrap_servers=self.address(listener, host),
            group_id=f"group-{uuid.uuid4().hex}",
            topic=self.topics["source"],
            written_topics=(self.topics["flags"], self.topics["dead"]),
            session_timeout_ms=30_000,
            stop_seconds=60.0,
            connection=KafkaSettings(**(settings | given)).connection(),
        )
        return KafkaBroker(config, on_rebalance=lambda: None)

    def produce(self, value: bytes) -> None:
        """Write a record to the source topic."""
        producer = Producer({"bootstrap.servers": self.server.bootstrap_servers})
        producer.produce(self.topics["source"], value)
        assert 0 == producer.flush(60)

    def last_flag(self) -> bytes | None:
        """Return the last value of the flags' topic."""
        servers = self.server.bootstrap_servers
        consumer = Consumer({"bootstrap.servers": servers, "group.id": "tests"})
        try:
            place = TopicPartition(self.topics["flags"], 0)
            _, end = consumer.get_watermark_offsets(place, timeout=60)
            consumer.assign([TopicPartition(place.topic, 0, end - 1)])
            message = consumer.poll(60)
            assert message is not None
            return message.value()
        finally:
            consumer.close()

    def delete_scram_user(self, user: str) -> None:
        """Take the user's password for SCRAM-SHA-512 away; connections that stand go on."""
        admin = AdminClient({"bootstrap.servers": self.server.bootstrap_servers, **SILENT})
        deletion = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)
        for deleted in admin.alter_user_scram_credentials([deletion]).values():
            deleted.result(TOPIC_TIMEOUT_S)

    def address(self, listener: str, host: str = "localhost") -> str:
        return f"{host}:{self.gates[listener].port}"


@contextmanager
def secured(directory: Path) -> Iterator[Secured]:
    """Run the server, with its files in `directory`. Raises as `locate_process` does."""
    authority, stranger = trustme.CA(), trustme.CA()
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    valid = _keystore(directory / "valid.pem", authority.issue_cert("localhost"))
    expired = _keystore(
        directory / "expired.pem",
        authority.issue_cert(
            "localhost", not_before=yesterday - datetime.timedelta(days=9), not_after=yesterday
        ),
    )
    client = authority.issue_cert("worker@example.org", common_name="worker")
    files = {name: directory / f"{name}.pem" for name in ("authority", "stranger", "key", "chain")}
    authority.cert_pem.write_to_path(files["authority"])
    stranger.cert_pem.write_to_path(files["stranger"])
    client.private_key_pem.write_to_path(files["key"])
    client.cert_chain_pems[0].write_to_path(files["chain"])
    ports = dict(zip(PROTOCOLS, _free_ports(len(PROTOCOLS)), strict=True))
    with ExitStack() as stack:
        gates = {name: stack.enter_context(Gate(port)) for name, port in ports.items()}
        setup = Setup(
            [
                Listener(
                    name,
                    PROTOCOLS[name],
                    ports[name],
                    SENT_TO.get(name, "localhost:{port}").format(port=gate.port),
                )
                for name, gate in gates.items()
            ],
            _settings(files["authority"], valid, expired),
            [part for argument in _scram_users() for part in ("--add-scram", argument)],
        )
        server = stack.enter_context(locate_process(setup, start_timeout_s=300.0))
        admin = AdminClient({"bootstrap.servers": server.bootstrap_servers, **SILENT})
        topics = {use: make_topic(admin) for use in ("source", "flags", "dead")}
        _grant(admin, topics)
        yield Secured(
            server,
            gates,
            topics,
            files["authority"],
            files["stranger"],
            files["chain"],
            files["key"],
        )


def _keystore(path: Path, leaf: trustme.LeafCert) -> Path:
    """Write key and chain as Kafka reads them: one file, the key as PKCS #8."""
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(pkcs8 + b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    return path


def _scram_users() -> list[str]:
    return [
        f"{mechanism}=[name={user},password={PASSWORD}]"
        for mechanism in MECHANISMS[1:]
        for user in RIGHTS
    ]


def _settings(authority: Path, valid: Path, expired: Path) -> dict[str, str]:
    security = "org.apache.kafka.common.security"
    plain_users = " ".join(f'user_{user}="{PASSWORD}"' for user in RIGHTS)
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # Who comes by the plain listener, the tests' own clients and the controller.
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(valid),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority),
        "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/,DEFAULT",
        "listener.name.tls.ssl.client.auth": "required",
        "listener.name.expired.ssl.keystore.type": "PEM",
        "listener.name.expired.ssl.keystore.location": str(expired),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.clear.sasl.enabled.mechanisms": "SCRAM-SHA-512",
    }
    for listener in ("sasl", "clear"):
        jaas = f"listener.name.{listener}.%s.sasl.jaas.config"
        settings[jaas % "plain"] = f"{security}.plain.PlainLoginModule required {plain_users};"
        for mechanism in ("scram-sha-256", "scram-sha-512"):
            settings[jaas % mechanism] = f"{security}.scram.ScramLoginModule required;"
    return settings


def _grant(admin: AdminClient, topics: Mapping[str, str]) -> None:
    bindings = []
    for user, rights in RIGHTS.items():
        for use, operation in rights.items():
            group = use == "group"
            bindings.append(
                AclBinding(
                    ResourceType.GROUP if group else ResourceType.TOPIC,
                    "*" if group else topics[use],
                    ResourcePatternType.LITERAL,
                    f"User:{user}",
                    "*",
                    operation,
                    AclPermissionType.ALLOW,
                )
            )
    for granted in admin.create_acls(bindings, request_timeout=TOPIC_TIMEOUT_S).values():
        granted.result()
