"""Makes aiokafka see that a token was refused: a broker says so in a challenge (RFC 7628, 3.2.2), not in an error.

aiokafka takes any answer for a yes, and the answers to all that it asks next for a cluster without brokers.
"""

from typing import Any

from aiokafka import conn
from aiokafka.conn import OAuthAuthenticator
from aiokafka.errors import SaslAuthenticationFailed


def heed_token_refusals() -> None:
    """Do so for all clients that this process starts from now on. Call it as often as you like."""
    names: Any = conn
    names.OAuthAuthenticator = _Heeding


class _Heeding(OAuthAuthenticator):
    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        """What to send next; None if we are let in."""
        if payload:
            raise SaslAuthenticationFailed(f"the token was refused: {payload.decode(errors='replace')}")
        step: tuple[bytes, bool] | None = await super().step(payload)
        return step
