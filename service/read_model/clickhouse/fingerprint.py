"""What failures are grouped by: their message without what differs from one to the next."""

from typing import Final

_MASKS: Final = (
    ("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", "<id>"),
    ("0[xX][0-9a-fA-F]+|[0-9a-fA-F]{8,}", "<id>"),
    # URLs up to what closes or follows them; paths of two steps or more, in which ids may be masked by now.
    (r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"`,;()\[\]{}]+", "<path>"),
    (r"(^|[^\w/])(/[\w.@~+%=<>-]+){2,}/?", r"\1<path>"),
    (r"\d+([.,:]\d+)*", "<n>"),
    (r"\s+", " "),
)

_LENGTH: Final = 200
_READ: Final = 1_000
"""Characters of a message that are looked at: a stack trace may have thousands, and each costs time."""


def _masked(sql: str) -> str:
    for pattern, mask in _MASKS:
        sql = f"replaceRegexpAll({sql}, {_literal(pattern)}, {_literal(mask)})"
    return sql


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


FINGERPRINT: Final = f"leftUTF8(trimBoth({_masked(f'leftUTF8(message, {_READ})')}), {_LENGTH})"
"""Of a row with a `message`, as SQL."""
