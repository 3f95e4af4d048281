"""One round: everything that is sent in it, drawn from its seed alone, so that it can be done again by itself."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Final, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from tests.fuzz import http
from tests.fuzz.commands import Recipe, recipes
from tests.fuzz.definitions import Trial, trials

Drawn = TypeVar("Drawn")

_COMMANDS: Final = 120
_TRIALS: Final = 8
_CALLS: Final = 40
_MALFORMED: Final = 8


@dataclass
class Round:
    """`run` names it; `inputs` counts what was sent by kind; `without` names kinds of input to leave out."""

    seed: int
    number: int
    without: frozenset[str]
    inputs: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Draw everything."""
        self.run = f"s{self.seed}r{self.number}"
        own = self.seed * 1_000_003 + self.number
        self.random = Random(own)  # noqa: S311 - reproducible, not secret
        self.recipes: list[Recipe] = draw(recipes(self.without), _COMMANDS, own)
        self.trials: list[Trial] = draw(trials(self.without), _TRIALS, own)
        self.calls: list[http.Call] = draw(http.calls(), _CALLS, own) if "http" not in self.without else []
        self.malformed: list[tuple[str, int]] = (
            draw(http.malformed(), _MALFORMED, own) if "malformed" not in self.without else []
        )


def draw(strategy: st.SearchStrategy[Drawn], count: int, seed: int) -> list[Drawn]:
    """So many examples, always the same for the same seed."""
    found: list[Drawn] = []

    @seeded(seed)
    @settings(
        max_examples=count, phases=[Phase.generate], database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(example: Drawn) -> None:
        found.append(example)

    collect()
    return found
