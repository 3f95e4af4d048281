"""The environment as the commands read it."""

import os
from typing import TYPE_CHECKING, TypeVar

from service.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from service.kafka.settings import KafkaSettings
    from service.settings import Settings

    Kind = TypeVar("Kind", bound=KafkaSettings)


def read_settings(**overrides: object) -> "Settings":
    """All settings.

    Raises:
        CommandError: a variable is not valid, or unknown.
    """
    from service.settings import Settings  # noqa: PLC0415 - seldom needed

    if unknown := Settings.unknown(dict(os.environ)):
        known = ", ".join(sorted(Settings.variables()))
        raise CommandError(Exit.USAGE, f"Unknown environment variables: {', '.join(unknown)}.", f"There are: {known}.")
    return _read(Settings, overrides)


def read_kafka_settings(**overrides: object) -> "KafkaSettings":
    """Those that are about Kafka.

    Raises:
        CommandError: a variable is not valid.
    """
    from service.kafka.settings import KafkaSettings  # noqa: PLC0415 - seldom needed

    return _read(KafkaSettings, overrides)


def _read(kind: "type[Kind]", overrides: dict[str, object]) -> "Kind":
    from pydantic import ValidationError  # noqa: PLC0415 - seldom needed

    from service.contracts.wording import detail_of  # noqa: PLC0415 - seldom needed

    try:
        return kind(**overrides)  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        lines = [f"{_variable(kind, item['loc'])}: {detail_of(item)}" for item in error.errors()]
        raise CommandError(Exit.USAGE, "The settings are not valid.", *lines) from None


def _variable(kind: "type[Kind]", place: tuple[int | str, ...]) -> str:
    from service.kafka.settings import variable  # noqa: PLC0415 - seldom needed

    name = ".".join(map(str, place))
    return variable(name) if name in kind.model_fields else name or "settings"
