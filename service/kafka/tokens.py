"""Where the tokens of OAUTHBEARER come from. Every connection that is made asks for one."""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider

from service.kafka.security import CredentialsError, read_secret

_TIMEOUT_SECONDS: Final = 10.0
_USED: Final = 0.8
"""So much of a token's life it is used; then there is a new one."""


class FileTokens(AbstractTokenProvider):
    """The token that stands in a file, which somebody else keeps up to date."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """The token as of now.

        Raises:
            CredentialsError: the file cannot be read.
        """
        return await asyncio.to_thread(read_secret, self._path)


class EndpointTokens(AbstractTokenProvider):
    """Tokens of an OAuth 2 token endpoint (RFC 6749, 4.4: client credentials); all our clients share one."""

    def __init__(self, url: str, client_id: str, secret_file: Path, scope: str | None) -> None:
        self._url, self._client_id, self._secret_file, self._scope = url, client_id, secret_file, scope
        self._asking = asyncio.Lock()
        self._token, self._used_until = "", 0.0

    async def token(self) -> str:
        """A token that is still valid for a while.

        Raises:
            CredentialsError: the endpoint does not answer, or gives none.
        """
        async with self._asking:
            if time.monotonic() >= self._used_until:
                asked = time.monotonic()
                answer = await self._ask()
                self._token, self._used_until = answer["access_token"], asked + _USED * answer["expires_in"]
            return self._token

    async def _ask(self) -> dict[str, Any]:
        import httpx2  # noqa: PLC0415 - only who uses an endpoint pays for it

        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        secret = await asyncio.to_thread(read_secret, self._secret_file)
        try:
            async with httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS) as client:
                response = await client.post(self._url, data=form, auth=(self._client_id, secret))
            answer = response.json()
            if response.is_success:
                return {"access_token": str(answer["access_token"]), "expires_in": float(answer.get("expires_in", 0))}
            # An answer may repeat what it was sent: only the code that the RFC defines is passed on.
            flaw = f"answered {response.status_code} {str(answer.get('error', ''))[:80]}".strip()
        except httpx2.HTTPError as error:
            flaw = f"did not answer: {type(error).__name__}"
        except (ValueError, KeyError, TypeError, AttributeError):
            flaw = f"answered {response.status_code}, but not with a token"
        raise CredentialsError(f"no token for Kafka: {self._url} {flaw}")
