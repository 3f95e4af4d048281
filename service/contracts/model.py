"""The base of every message body: frozen, camelCase on the wire, unknown fields refused."""

from typing import Annotated, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel


class Contract(BaseModel):
    """A JSON object of the wire contract.

    Attributes are snake_case in Python and camelCase in JSON. Optional attributes that are `None` are left out
    of what we write by `exclude_none`; nulls *inside* inputs and outputs are kept.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True
    )

    @classmethod
    def wire_names(cls) -> list[str]:
        """The names of the fields in JSON."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def names_of_several(cls) -> set[str]:
        """The names in JSON of the fields that hold several values."""
        return {
            field.alias or name for name, field in cls.model_fields.items() if get_origin(field.annotation) is tuple
        }


def no_control_characters(text: str) -> str:
    """Refuse what CloudEvents forbids in strings (CloudEvents 1.0, type system: no U+0000-U+001F, U+007F-U+009F)."""
    if not text.isprintable() and any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F for c in text):  # noqa: PLR2004 - the ranges of the CloudEvents specification
        msg = "control characters are not allowed"
        raise ValueError(msg)
    return text


UUID_PATTERN = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

ExecutionId = Annotated[str, StringConstraints(pattern=UUID_PATTERN, to_lower=True)]
"""A UUID in its canonical text form; upper case is accepted and lowered."""

TASK_ID_PATTERN = r"^[A-Za-z0-9_.-]{1,120}:[A-Za-z0-9_.-]{1,120}$"
TaskId = Annotated[str, StringConstraints(pattern=TASK_ID_PATTERN)]
"""`namespace:name` of a TaskDefinition."""

_NUMBER = "(0|[1-9][0-9]*)"
_PRE_RELEASE = f"({_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
SEMANTIC_VERSION = (
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE_RELEASE}(\.{_PRE_RELEASE})*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
VERSION_PATTERN = rf"^(draft|{SEMANTIC_VERSION})$"
TaskVersion = Annotated[str, StringConstraints(pattern=VERSION_PATTERN, max_length=120)]
"""`draft` or a semantic version."""

_PRINTABLE = Field(json_schema_extra={"pattern": "^[^\\u0000-\\u001F\\u007F-\\u009F]*$"})
"""What the schema says of `no_control_characters`."""

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=255), AfterValidator(no_control_characters), _PRINTABLE
]
"""A short printable name: a principal, a node, a Spark application."""

Principal = Annotated[
    str, StringConstraints(min_length=1, max_length=1024), AfterValidator(no_control_characters), _PRINTABLE
]
"""Who asked for something: a `Name`, or where none is given the command's CloudEvents source, which may be longer."""

Tag = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(no_control_characters), _PRINTABLE]
