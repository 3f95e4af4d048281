"""How many items an array may have, looked at before the items are."""

from typing import cast

from pydantic import BeforeValidator


def at_most(most: int) -> BeforeValidator:
    """Refuse too many before each is looked at: the errors of half a million tags take seconds to write."""

    def check(given: object) -> object:
        if isinstance(given, list) and len(cast("list[object]", given)) > most:
            raise ValueError(f"must have at most {most} items")
        return given  # pyright: ignore[reportUnknownVariableType] - narrowed to a list of unknown items

    return BeforeValidator(check)
