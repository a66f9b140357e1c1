"""How to reach Kafka, and as whom: the settings of the connection, and what aiokafka makes of them.

No secret has a repr, and no error quotes a value.
"""

import ssl
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from stream.errors import ConfigurationError

SECRETS_DIRECTORY: Final = Path("/run/secrets")


class KafkaSettings(BaseSettings):
    """How to reach Kafka, and as whom: for every command that talks to it."""

    model_config = SettingsConfigDict(
        env_prefix="KCGUARD_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    bootstrap_servers: str = Field(
        "localhost:9092", description="Kafka brokers, host:port, comma-separated."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        description="What the brokers' listener speaks. SASL_SSL: a user and TLS; SSL: TLS, with a "
        "client certificate or none. The two without TLS: in a network you trust alone.",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512",
        description="How the user proves itself, with SASL. PLAIN hands the password itself to the "
        "broker: choose SCRAM where the brokers have it.",
    )
    sasl_username: str | None = Field(
        None, min_length=1, description="Kafka's user, with SASL; its rights: see Security."
    )
    sasl_password: SecretStr | None = Field(
        None,
        min_length=1,
        description="Its password. Prefer a file of secrets: processes show their flags.",
    )
    ssl_ca_file: Path | None = Field(
        None,
        description="PEM file of the authorities that the brokers' certificates are checked "
        "against, with TLS; unset: the system's.",
    )
    ssl_certificate_file: Path | None = Field(
        None,
        description="PEM file of our own certificate and its chain, where brokers ask for one.",
    )
    ssl_key_file: Path | None = Field(None, description="PEM file of that certificate's key.")
    ssl_key_password: SecretStr | None = Field(
        None, min_length=1, description="The key's password, where it is encrypted."
    )
    secrets_dir: Path | None = Field(
        None,
        description="Directory with a file for each secret, named kcguard_<setting>, as Docker and "
        f"Kubernetes mount them; unset: {SECRETS_DIRECTORY} where there is one.",
    )

    @field_validator("sasl_username", "sasl_password")
    @classmethod
    def _with_sasl_and_only_then(cls, value: object, info: ValidationInfo) -> object:
        protocol = info.data.get("security_protocol", "")
        if value is None and protocol.startswith("SASL_"):
            raise _problem(f"{protocol} needs it: set {_variable(info)}")
        if value is not None and not protocol.startswith("SASL_"):
            raise _problem(f"of no use with {protocol}: set KCGUARD_SECURITY_PROTOCOL to SASL_SSL")
        return value

    @field_validator("ssl_ca_file", "ssl_certificate_file", "ssl_key_file")
    @classmethod
    def _with_tls_and_readable(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        protocol = info.data.get("security_protocol", "SSL")
        if value is None:
            return None
        if not protocol.endswith("SSL"):
            raise _problem(
                f"of no use with {protocol}: set KCGUARD_SECURITY_PROTOCOL to SSL or SASL_SSL"
            )
        try:
            with value.open("rb"):
                return value
        except OSError as error:
            raise _problem(f"{value}: {error.strerror}: check {_variable(info)}") from None

    @field_validator("ssl_key_file")
    @classmethod
    def _key_with_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        # A certificate that was refused is not in `data`, and has been reported already.
        certificate = info.data.get("ssl_certificate_file", value)
        if value is None and certificate is not None:
            raise _problem(
                f"{certificate} needs its key: set {_variable(info)}, to the same file if it holds "
                "both"
            )
        if value is not None and certificate is None:
            raise _problem("of no use without KCGUARD_SSL_CERTIFICATE_FILE: set both")
        return value

    @field_validator("ssl_key_password")
    @classmethod
    def _password_with_key(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and info.data.get("ssl_key_file", value) is None:
            raise _problem("of no use without KCGUARD_SSL_KEY_FILE: set both")
        return value

    @field_validator("secrets_dir")
    @classmethod
    def _existing(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and not value.is_dir():
            raise _problem(f"{value} is no directory: check {_variable(info)}")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, _SecretFiles(settings_cls)

    def connection(self) -> dict[str, Any]:
        """Return these settings as aiokafka's arguments, but for the servers.

        Host names are verified, and nothing older than TLS 1.2 is spoken. Raises
        ConfigurationError that names the file which holds no certificate or key.
        """
        arguments: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.security_protocol.endswith("SSL"):
            arguments["ssl_context"] = self._tls()
        if self.sasl_username is not None and self.sasl_password is not None:
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password.get_secret_value(),
            }
        return arguments

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ssl_ca_file)
        except ssl.SSLError as error:
            raise ConfigurationError(
                f"ssl_ca_file: {self.ssl_ca_file} holds no PEM certificate ({error.reason}); "
                "check KCGUARD_SSL_CA_FILE"
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ssl_certificate_file is None:
            return context
        password = self.ssl_key_password
        try:
            context.load_cert_chain(
                self.ssl_certificate_file,
                self.ssl_key_file,
                # Without an answer OpenSSL would ask at the terminal, and wait.
                lambda: password.get_secret_value() if password else "",
            )
        except ssl.SSLError as error:
            raise ConfigurationError(
                f"ssl_key_file: {self.ssl_certificate_file} and {self.ssl_key_file} are no "
                f"certificate and its key ({error.reason or error}); check "
                "KCGUARD_SSL_CERTIFICATE_FILE, KCGUARD_SSL_KEY_FILE and KCGUARD_SSL_KEY_PASSWORD"
            ) from None
        return context


class _SecretFiles(SecretsSettingsSource):
    """Reads the files of `secrets_dir`, whichever source before this one named it."""

    def __call__(self) -> dict[str, Any]:
        directory = Path(self.current_state.get("secrets_dir") or SECRETS_DIRECTORY)
        # The validator says so where a directory was named that is none.
        self.secrets_dir = directory if directory.is_dir() else None
        return super().__call__()


def _problem(message: str) -> PydanticCustomError:
    # Braces are the class's own language, and a path may hold some.
    return PydanticCustomError("kcguard", "{message}", {"message": message})


def _variable(info: ValidationInfo) -> str:
    return f"KCGUARD_{info.field_name}".upper()
