"""What values may be: how many items an array has, and which numbers are whole."""

from typing import Final, cast

from pydantic import BeforeValidator


def at_most(most: int) -> BeforeValidator:
    """Refuse too many before each is looked at: the errors of half a million tags take seconds to write."""

    def check(given: object) -> object:
        if isinstance(given, list) and len(cast("list[object]", given)) > most:
            raise ValueError(f"must have at most {most} items")
        return given  # pyright: ignore[reportUnknownVariableType] - narrowed to a list of unknown items

    return BeforeValidator(check)


def _as_integer(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE: Final = BeforeValidator(_as_integer)
"""Of a strict integer: 3.0 is one as well, as JSON Schema has it."""
