"""Long texts that JSON writes as they are: whoever writes one need not look through it."""

from operator import attrgetter
from typing import Final

from msgspec import Raw
from pydantic import JsonValue

LONG: Final = 1_000
"""Characters. To tell a shorter text apart costs as much as to look through it."""

encode_hook: Final = attrgetter("json")
"""For msgspec's encoders: what they do not know says itself how it is written."""


class PlainText(str):
    """A text in ASCII without a quote, a backslash or a control character; `json` as `encode_hook` wants it."""

    __slots__ = ()

    @property
    def json(self) -> Raw:
        """The text as JSON."""
        return Raw(b'"%b"' % self.encode())


def tell_plain_texts(data: JsonValue) -> None:
    r"""Replace long texts by PlainTexts, where most are: among the values of the objects in an object.

    `data` comes from JSON without a backslash: none of its texts holds what JSON would write with one.
    """
    if isinstance(data, dict):
        for values in data.values():
            if isinstance(values, dict):
                for name, value in values.items():
                    if isinstance(value, str) and len(value) >= LONG and value.isascii():
                        values[name] = PlainText(value)
