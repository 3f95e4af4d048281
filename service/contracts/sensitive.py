"""Values of variables that a definition marks as sensitive: which they are, and how everybody sees them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct
from pydantic import JsonValue

SEALED: Final = "sealed"

WITHHELD: Final[Mapping[str, None]] = {SEALED: None}
"""What stands for a sensitive value that is not told."""

Seal = Callable[[JsonValue], Mapping[str, str | None]]
"""Makes of a sensitive value what stands for it: `{"sealed": "<compact JWE>"}`, or `WITHHELD`."""


class Sensitive(Struct, frozen=True, gc=False):
    """The names of the sensitive variables."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


UNMARKED: Final = Sensitive((), ())
"""None is sensitive."""


def withhold(value: JsonValue) -> Mapping[str, str | None]:  # noqa: ARG001 - a Seal
    """The `Seal` of whoever has no key."""
    return WITHHELD


def sealed(values: Mapping[str, Any], names: tuple[str, ...], seal: Seal) -> dict[str, Any]:
    """The values, those of these names sealed. A null says that none was given: there is nothing to seal."""
    found = values.keys() & names
    return {name: seal(value) if name in found and value is not None else value for name, value in values.items()}
