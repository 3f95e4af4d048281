"""Patterns in RE2's syntax, and what may be spent on them: no pattern with no value can stall the service."""

from typing import Any, Final

import re2  # pyright: ignore[reportMissingTypeStubs] - there are none

MAX_STEPS: Final = 10_000_000
"""What one command may spend: program size times bytes, over all values with a pattern. About 0.15 s at worst."""

MAX_PROGRAM: Final = 10_000
"""The largest program of a pattern, in instructions: `.{1,1000}` has 9,003."""

MAX_LENGTH: Final = 10_000
"""How many characters a pattern has at most."""

MAX_COMPILING: Final = 300_000
"""What compiling the distinct patterns in one list of variables may cost, in steps of about a microsecond."""

SYNTAX: Final = "https://github.com/google/re2/wiki/Syntax"

_PER_CHARACTER, _PER_CLASS = 10, 200  # steps to read them at worst; a class such as `\pL` has hundreds of ranges
_re2: Final[Any] = re2
_OPTIONS: Final = _re2.Options()
_OPTIONS.max_mem = 1 << 20  # bytes for a program and its automata: with more, the worst case is slower, not faster
_OPTIONS.log_errors = False  # else RE2 writes to stderr, also while it matches
_OPTIONS.never_capture = True  # whether it matches is all that is asked


class PatternError(ValueError):
    """The pattern cannot be used; the message says why."""


class Budget:
    """What is left of the steps that one command may spend."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = MAX_STEPS


class Pattern:
    """A pattern that is found anywhere in a value, as in JSON Schema. Takes time linear in both (ADR 0016)."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._regexp = _re2.compile(text, _OPTIONS)
        except _re2.error as error:
            reason: str = error.args[0].decode(errors="replace")
            raise PatternError(
                f"is not usable: {reason}. Patterns are written in RE2's syntax, which has no look-around and no "
                f"back-references: {SYNTAX}"
            ) from None
        self.size: int = self._regexp.programsize
        if self.size > MAX_PROGRAM:
            raise PatternError(
                f"is not usable: its program has {self.size} instructions, at most {MAX_PROGRAM} are allowed; "
                "shorten its repeats and character classes"
            )

    def flaw(self, value: str, budget: Budget) -> str | None:
        """Why the value does not fit, or None. One that would cost more than is left is refused by its length."""
        raw = value.encode()
        steps = self.size * len(raw)
        if steps > budget.steps:
            return (
                f"has {len(raw)} bytes in UTF-8: too long to be matched against its pattern, of which the program has "
                f"{self.size} instructions; at most {budget.steps // self.size} bytes are left for it"
            )
        budget.steps -= steps
        return None if self._regexp.search(raw) else f"must match pattern '{self.text}'"


class Patterns:
    """The patterns of one list of variables: each compiled once, and bounded together."""

    def __init__(self) -> None:
        self._known: dict[str, Pattern] = {}
        self._left = MAX_COMPILING

    def __bool__(self) -> bool:
        return bool(self._known)

    def compile(self, text: str) -> Pattern:
        """The pattern, ready to match.

        Raises:
            PatternError: it is none, or it or all together are too large.
        """
        if len(text) > MAX_LENGTH:
            raise PatternError(f"is not usable: it has {len(text)} characters, at most {MAX_LENGTH} are allowed")
        pattern = self._known.get(text)
        if pattern is None:
            self._spend(_PER_CHARACTER * len(text) + _PER_CLASS * text.lower().count("\\p") + MAX_PROGRAM)
            pattern = self._known[text] = Pattern(text)
            self._left += MAX_PROGRAM - pattern.size
        return pattern

    def _spend(self, steps: int) -> None:
        if steps > self._left:
            raise PatternError(
                "is not usable: it and the patterns before it are too large together; shorten them, use `\\p` less "
                "often, or check the values elsewhere"
            )
        self._left -= steps
