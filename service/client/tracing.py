"""The trace that a command is part of."""

from collections.abc import Mapping

from service.contracts.envelope import TRACE_HEADERS


def trace_headers(given: Mapping[str, str] | None) -> dict[str, str]:
    """The W3C headers among those given; without any, those of OpenTelemetry's current context, if it is installed."""
    if given is None:
        try:
            from opentelemetry import propagate  # noqa: PLC0415 - it may not be there
        except ImportError:
            return {}
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        given = carrier
    return {name: given[name] for name in TRACE_HEADERS if name in given}
