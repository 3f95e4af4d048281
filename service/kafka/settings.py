"""How the environment says where Kafka is, how to connect, and what our things are called there."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasGenerator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.kafka.connection import Kafka, checked_prefix
from service.kafka.security import CredentialsError, Sasl, Security, Tls
from service.kafka.tokens import EndpointTokens, FileTokens

PREFIX: Final = "TASKEXEC_"
DEFAULT_KAFKA_PORT: Final = 9092
_MAX_PORT: Final = 65_535
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}

_TLS: Final = frozenset(f"kafka_ssl_{name}" for name in ("ca_file", "cert_file", "key_file", "key_password_file"))
_PASSWORD: Final = frozenset({"kafka_sasl_username", "kafka_sasl_password_file"})
_OAUTH: Final = "kafka_sasl_oauthbearer_"
_TOKEN_FILE: Final = frozenset({f"{_OAUTH}token_file"})
_ENDPOINT: Final = frozenset(f"{_OAUTH}{name}" for name in ("token_endpoint_url", "client_id", "client_secret_file"))
_SCOPE: Final = frozenset({f"{_OAUTH}scope"})


def variable(name: str) -> str:
    """The environment variable of a setting: where Kafka and ClickHouse are is not ours alone."""
    return name.upper() if name.startswith(("kafka_", "clickhouse_dsn")) else PREFIX + name.upper()


def _servers(text: str) -> str:
    servers = [server.strip() for server in text.split(",")]
    for server in servers:
        host, _, port = server.rpartition(":")
        if not (re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host) and re.fullmatch(r"[0-9]{1,5}", port)):
            raise ValueError(f"'{server}' is not host:port; give one or more, such as kafka-1:9092,kafka-2:9092")
        if not 0 < int(port) <= _MAX_PORT:
            raise ValueError(f"'{server}' has a port that does not exist: it must be 1 to {_MAX_PORT}")
    return ",".join(servers)


def _endpoint(text: str) -> str:
    url = urlsplit(text)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
        raise ValueError("give an https:// address: our secret is sent there")
    if url.username or url.password:
        raise ValueError("no name and password in it: they have settings of their own")
    return text


Text = Annotated[str, Field(min_length=1)]


class KafkaSettings(BaseSettings):
    """Everything about Kafka. Secrets are in files that are named here; no setting holds one.

    Raises:
        pydantic.ValidationError: a value is not valid, does not fit the others, or names a file that cannot be used.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, alias_generator=AliasGenerator(validation_alias=variable)
    )

    prefix: Annotated[str, AfterValidator(checked_prefix)] = ""
    kafka_bootstrap_servers: Annotated[str, AfterValidator(_servers)] = f"127.0.0.1:{DEFAULT_KAFKA_PORT}"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_ssl_ca_file: Path | None = None
    kafka_ssl_cert_file: Path | None = None
    kafka_ssl_key_file: Path | None = None
    kafka_ssl_key_password_file: Path | None = None
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    kafka_sasl_username: Text | None = None
    kafka_sasl_password_file: Path | None = None
    kafka_sasl_oauthbearer_token_file: Path | None = None
    kafka_sasl_oauthbearer_token_endpoint_url: Annotated[str, AfterValidator(_endpoint)] | None = None
    kafka_sasl_oauthbearer_client_id: Text | None = None
    kafka_sasl_oauthbearer_client_secret_file: Path | None = None
    kafka_sasl_oauthbearer_scope: Text | None = None

    @property
    def kafka(self) -> Kafka:
        """The Kafka that is meant."""
        tls = sasl = None
        if self.kafka_security_protocol.endswith("SSL"):
            tls = Tls(
                self.kafka_ssl_ca_file,
                self.kafka_ssl_cert_file,
                self.kafka_ssl_key_file,
                self.kafka_ssl_key_password_file,
            )
        if self.kafka_security_protocol.startswith("SASL") and self.kafka_sasl_mechanism:
            name, password = self.kafka_sasl_username, self.kafka_sasl_password_file
            sasl = Sasl(self.kafka_sasl_mechanism, name, password, self._tokens())
        return Kafka(self.kafka_bootstrap_servers, self.prefix, Security(tls, sasl))

    def _tokens(self) -> FileTokens | EndpointTokens | None:
        if self.kafka_sasl_oauthbearer_token_file:
            return FileTokens(self.kafka_sasl_oauthbearer_token_file)
        url, name = self.kafka_sasl_oauthbearer_token_endpoint_url, self.kafka_sasl_oauthbearer_client_id
        secret = self.kafka_sasl_oauthbearer_client_secret_file
        return EndpointTokens(url, name, secret, self.kafka_sasl_oauthbearer_scope) if url and name and secret else None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        further = ("kafka_ssl_", "kafka_sasl_")
        given = {name for name in KafkaSettings.model_fields if name.startswith(further) and getattr(self, name)}
        needed, allowed, chosen = self._choice()
        if missing := needed - given:
            raise ValueError(f"{chosen} needs {_variables(missing)}")
        if unused := given - needed - allowed:
            raise ValueError(f"{chosen} does not use {_variables(unused)}")
        try:
            self.kafka.options()
        except CredentialsError as error:
            raise ValueError(str(error)) from None
        return self

    def _choice(self) -> tuple[frozenset[str], frozenset[str], str]:
        """Which settings the protocol and the mechanism need and allow, and what was chosen, in words."""
        protocol, mechanism = self.kafka_security_protocol, self.kafka_sasl_mechanism
        needed, chosen = frozenset[str](), f"KAFKA_SECURITY_PROTOCOL={protocol}"
        allowed = _TLS if protocol.endswith("SSL") else needed
        if self.kafka_ssl_key_file or self.kafka_ssl_key_password_file:
            needed |= {"kafka_ssl_cert_file"} & allowed
        if protocol.startswith("SASL"):
            needed |= {"kafka_sasl_mechanism"}
            if mechanism == "OAUTHBEARER":
                needed |= _TOKEN_FILE if self.kafka_sasl_oauthbearer_token_file else _ENDPOINT
                allowed |= frozenset() if self.kafka_sasl_oauthbearer_token_file else _SCOPE
            elif mechanism:
                needed |= _PASSWORD
            chosen += f" with KAFKA_SASL_MECHANISM={mechanism}" if mechanism else ""
        return needed, allowed, chosen


def _variables(names: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(map(variable, names)))
