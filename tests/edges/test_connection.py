"""The settings of the connection to Kafka."""

import ssl
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from stream import connection
from stream.__main__ import main
from stream.broker import KafkaConfig
from stream.errors import ConfigurationError
from stream.settings import KafkaSettings

PASSWORD = "Staple-Horse-Battery"
A_USER: dict[str, Any] = {"sasl_username": "worker", "sasl_password": PASSWORD}


class Files(NamedTuple):
    """An authority, a certificate, its key, the key encrypted with PASSWORD, and another key."""

    authority: Path
    certificate: Path
    key: Path
    encrypted_key: Path
    other_key: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    directory = tmp_path_factory.mktemp("pem")
    made = Files(*(directory / f"{name}.pem" for name in Files._fields))
    authority = trustme.CA()
    client, other = (authority.issue_cert("worker@example.org") for _ in range(2))
    authority.cert_pem.write_to_path(made.authority)
    client.cert_chain_pems[0].write_to_path(made.certificate)
    client.private_key_pem.write_to_path(made.key)
    other.private_key_pem.write_to_path(made.other_key)
    key = serialization.load_pem_private_key(client.private_key_pem.bytes(), None)
    made.encrypted_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSWORD.encode()),
        )
    )
    return made


def problems(settings: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with the settings, by field."""
    with pytest.raises(ValidationError) as caught:
        KafkaSettings(**settings)
    assert PASSWORD not in str(caught.value)
    return {str(error["loc"][0]): error["msg"] for error in caught.value.errors()}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"security_protocol": "SASL_SSL"},
            {
                "sasl_username": "SASL_SSL needs it: set KCGUARD_SASL_USERNAME",
                "sasl_password": "SASL_SSL needs it: set KCGUARD_SASL_PASSWORD",
            },
        ),
        (
            {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "worker"},
            {"sasl_password": "SASL_PLAINTEXT needs it: set KCGUARD_SASL_PASSWORD"},
        ),
        (
            {"sasl_password": PASSWORD},
            {
                "sasl_password": "of no use with PLAINTEXT: set KCGUARD_SECURITY_PROTOCOL to "
                "SASL_SSL"
            },
        ),
        (
            {"security_protocol": "SASL_PLAINTEXT", "ssl_ca_file": "ca.pem", **A_USER},
            {
                "ssl_ca_file": "of no use with SASL_PLAINTEXT: set KCGUARD_SECURITY_PROTOCOL to "
                "SSL or SASL_SSL"
            },
        ),
        (
            {"security_protocol": "SSL", "ssl_ca_file": "no/{such}.pem"},
            {"ssl_ca_file": "no/{such}.pem: No such file or directory: check KCGUARD_SSL_CA_FILE"},
        ),
        (
            {"security_protocol": "SSL", "ssl_certificate_file": __file__},
            {
                "ssl_key_file": f"{__file__} needs its key: set KCGUARD_SSL_KEY_FILE, to the same "
                "file if it holds both"
            },
        ),
        (
            {"security_protocol": "SSL", "ssl_key_file": __file__},
            {"ssl_key_file": "of no use without KCGUARD_SSL_CERTIFICATE_FILE: set both"},
        ),
        (
            {"security_protocol": "SSL", "ssl_key_password": PASSWORD},
            {"ssl_key_password": "of no use without KCGUARD_SSL_KEY_FILE: set both"},
        ),
        (
            {"secrets_dir": "no/such"},
            {"secrets_dir": "no/such is no directory: check KCGUARD_SECRETS_DIR"},
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    settings: dict[str, Any], expected: dict[str, str]
) -> None:
    """Half a user, half a certificate, and what the protocol leaves unused name the remedy."""
    assert expected == problems(settings)


def test_a_protocol_that_is_none_is_the_only_complaint() -> None:
    """What depends on a setting that is wrong is not complained about as well."""
    settings = {"security_protocol": "TLS", "ssl_certificate_file": "no", "ssl_key_file": __file__}

    assert {"security_protocol", "ssl_certificate_file"} == set(problems(settings))


def test_a_file_of_secrets_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files named kcguard_<setting> give settings, without their last line break."""
    (tmp_path / "kcguard_sasl_password").write_text(PASSWORD + "\n")
    (tmp_path / "kcguard_sasl_username").write_text("worker")
    monkeypatch.setenv("KCGUARD_SECRETS_DIR", str(tmp_path))

    arguments = KafkaSettings(security_protocol="SASL_PLAINTEXT").connection()

    assert {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "worker",
        "sasl_plain_password": PASSWORD,
    } == arguments


def test_the_environment_wins_over_a_file_of_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that is given twice is the environment's, wherever the directory was named."""
    (tmp_path / "kcguard_bootstrap_servers").write_text("file:1")
    (tmp_path / ".env").write_text(f"KCGUARD_SECRETS_DIR={tmp_path}\n")
    monkeypatch.chdir(tmp_path)
    from_file = KafkaSettings().bootstrap_servers
    monkeypatch.setenv("KCGUARD_BOOTSTRAP_SERVERS", "environment:1")

    assert ["file:1", "environment:1"] == [from_file, KafkaSettings().bootstrap_servers]


def test_the_usual_directory_is_read_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without KCGUARD_SECRETS_DIR the usual directory counts, and none is no error."""
    monkeypatch.setattr(connection, "SECRETS_DIRECTORY", tmp_path / "secrets")
    before = KafkaSettings().bootstrap_servers
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "kcguard_bootstrap_servers").write_text("file:1")

    assert ["localhost:9092", "file:1"] == [before, KafkaSettings().bootstrap_servers]


def test_the_command_line_says_which_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` ends with status 2 and a line a problem, which quotes no value."""
    monkeypatch.setenv("KCGUARD_SASL_PASSWORD", PASSWORD)

    assert 2 == main(["run", "--security-protocol", "SSL"])
    assert (
        "kcguard-stream: run.sasl_password: of no use with SSL: set KCGUARD_SECURITY_PROTOCOL to "
        "SASL_SSL\n"
    ) == capsys.readouterr().err


def test_no_secret_has_a_repr() -> None:
    """Neither the settings nor what the broker is given show a password."""
    settings = KafkaSettings(security_protocol="SASL_PLAINTEXT", **A_USER)
    config = KafkaConfig("localhost:1", "group", "topic", connection=settings.connection())

    assert PASSWORD not in f"{settings!r} {settings} {settings.model_dump()} {config!r}"


def test_tls_is_verified(files: Files) -> None:
    """Certificates and host names are verified, from TLS 1.2 on."""
    settings = KafkaSettings(
        security_protocol="SSL",
        ssl_ca_file=files.authority,
        ssl_certificate_file=files.certificate,
        ssl_key_file=files.encrypted_key,
        ssl_key_password=PASSWORD,
    )
    arguments = settings.connection()
    context = arguments.pop("ssl_context")

    assert {"security_protocol": "SSL"} == arguments
    assert (True, ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2) == (
        context.check_hostname,
        context.verify_mode,
        context.minimum_version,
    )
    assert 1 == len(context.get_ca_certs())


def test_without_an_authority_it_is_the_systems() -> None:
    """TLS without a CA file is verified too."""
    context = KafkaSettings(security_protocol="SSL").connection()["ssl_context"]

    assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)


def test_a_file_without_certificates_is_named(files: Files) -> None:
    """A CA file that holds none is an error with its name and its variable."""
    settings = KafkaSettings(security_protocol="SSL", ssl_ca_file=files.key)

    with pytest.raises(ConfigurationError, match=r"key\.pem holds no .* KCGUARD_SSL_CA_FILE"):
        settings.connection()


@pytest.mark.parametrize(
    ("key", "password"),
    [("other_key", None), ("encrypted_key", None), ("encrypted_key", "wrong"), ("authority", None)],
)
def test_a_key_that_does_not_fit_is_named(files: Files, key: str, password: str | None) -> None:
    """Another's key, an encrypted one without its password, and none at all are errors."""
    settings = KafkaSettings(
        security_protocol="SSL",
        ssl_certificate_file=files.certificate,
        ssl_key_file=getattr(files, key),
        ssl_key_password=password,
    )

    with pytest.raises(ConfigurationError, match=rf"{key}\.pem are no .* KCGUARD_SSL_KEY_PASSWORD"):
        settings.connection()
