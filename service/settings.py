"""The environment, typed and read once, by the composition root's callers only."""

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from service.kafka.settings import PREFIX, KafkaSettings, variable
from service.ports.retentions import Retentions
from service.sealing import KeyRing

DEFAULT_HTTP_PORT: Final = 8080
_OF_THE_COMMAND_LINE: Final = ("URL", "CONTEXT", "CONFIG", "DATA_DIR")


def _names(value: object) -> object:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _host_name(text: str) -> str:
    name = text.lower().removesuffix(".").strip("[]")
    try:
        return str(ip_address(name))
    except ValueError:
        if name == "*" or re.fullmatch(r"[a-z0-9._-]+", name):
            return name
    raise ValueError(f"'{text}' is not a host: give names such as api.example.org, without scheme and port; * is all")


HostNames = Annotated[
    tuple[Annotated[str, AfterValidator(_host_name)], ...],
    NoDecode,  # else pydantic-settings wants JSON
    BeforeValidator(_names),
]


Kept = Annotated[timedelta, Field(ge=timedelta(days=1), le=timedelta(days=36_500))] | None
"""For ever if not set."""


class Settings(KafkaSettings):
    """Where the parts are and how the service behaves; every field can be set by the environment variable named.

    Raises:
        pydantic.ValidationError: a value is not valid, or the HTTP API would listen beyond loopback without being
            told that the network is trusted.
    """

    model_config = SettingsConfigDict(extra="forbid")

    clickhouse_dsn: str = "clickhouse://127.0.0.1:8123/default"
    clickhouse_cluster: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_.-]{1,100}$", description="The cluster that the tables are spread over, by its name."
        ),
    ] = None
    partitions: Annotated[int, Field(ge=1, le=1000, description="TASKEXEC_PARTITIONS; fixed once topics exist.")] = 8
    replication_factor: Annotated[int, Field(ge=1, le=10)] = 1
    state_dir: Annotated[
        Path | None,
        Field(description="Where a handler keeps its state on this machine; else each start reads Kafka's."),
    ] = None
    retention: Annotated[
        Kept, Field(description="How long a finished execution is kept after its end, such as P90D.")
    ] = None
    sensitive_key_file: Annotated[
        Path | None,
        Field(description="A JWK Set: its first key seals the values of sensitive variables. Without, none is kept."),
    ] = None
    payload_retention: Annotated[
        Kept, Field(description="How long its inputs and outputs are kept; no longer than itself.")
    ] = None
    rejection_retention: Annotated[Kept, Field(description="How long a refused command is kept in ClickHouse.")] = None
    processes: Annotated[int | None, Field(ge=1, le=64, description="Of a handler; one per CPU if not set.")] = None
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535)] = DEFAULT_HTTP_PORT
    trust_network: bool = False
    allowed_hosts: Annotated[HostNames, Field(description="Names in the header Host, besides those of loopback.")] = ()
    principal_header: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9-]{1,64}$",
            description="The header in which an authenticating proxy says who calls. Whoever reaches the API must come "
            "through that proxy, which must overwrite what clients send.",
        ),
    ] = None
    metrics_port: Annotated[int | None, Field(ge=0, le=65_535)] = None
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @model_validator(mode="after")
    def _listens_where_it_may(self) -> Self:
        if not self.trust_network and not _is_loopback(self.http_host):
            raise ValueError(
                f"the API has no authentication: it listens on loopback only, not on {self.http_host}. If everybody "
                "who can reach that address may do everything, say so with TASKEXEC_TRUST_NETWORK=true."
            )
        return self

    @field_validator("sensitive_key_file")
    @classmethod
    def _has_keys(cls, file: Path | None) -> Path | None:
        if file is not None:
            KeyRing.read(file)
        return file

    @model_validator(mode="after")
    def _payloads_go_first(self) -> Self:
        if self.retention and self.payload_retention and self.payload_retention > self.retention:
            raise ValueError(
                f"TASKEXEC_PAYLOAD_RETENTION ({self.payload_retention}) is longer than TASKEXEC_RETENTION "
                f"({self.retention}): inputs and outputs go with their execution at the latest. Make it no longer."
            )
        return self

    @property
    def retentions(self) -> Retentions:
        """What the read side keeps for how long."""
        return Retentions(self.retention, self.payload_retention, self.rejection_retention)

    @classmethod
    def variables(cls) -> frozenset[str]:
        """The environment variables that the service and its command line read."""
        return frozenset({*map(variable, cls.model_fields), *(PREFIX + name for name in _OF_THE_COMMAND_LINE)})

    @classmethod
    def unknown(cls, environment: Mapping[str, str]) -> list[str]:
        """The `TASKEXEC_` variables that nothing reads: mistyped ones."""
        return sorted(name for name in environment if name.startswith(PREFIX) and name not in cls.variables())


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
