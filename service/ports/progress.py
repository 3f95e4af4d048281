"""How long work says how far it is."""

from collections.abc import Callable

Tell = Callable[[str, int, int], None]
"""Is told of each step: its name, how much of it is done, and of how much."""
