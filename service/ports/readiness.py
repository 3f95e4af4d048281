"""How a part of the service says what it has open."""

from collections.abc import Awaitable, Callable

from service.contracts.readiness import Readiness

Check = Callable[[], Awaitable[Readiness]]
"""Asks a part of the service what it has open; that it raises says that it is not ready. Who asks bounds its time."""
