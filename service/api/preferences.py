"""What clients prefer (RFC 7240). A preference that is unknown, or cannot be read, is passed over, as the RFC says."""

from typing import Final

from fastapi import Request, Response

from service.api.names import APPLIED, PREFER

MAX_WAIT: Final = 60


class Preferences:
    """Those of a request; each that is asked for counts as applied."""

    def __init__(self, request: Request) -> None:
        self._given: dict[str, str] = {}
        self._applied: list[str] = []
        for part in ",".join(request.headers.getlist(PREFER)).split(","):
            name, _, value = part.partition(";")[0].partition("=")
            self._given.setdefault(name.strip().lower(), value.strip().strip('"'))

    @property
    def minimal(self) -> bool:
        """Whether an answer need not repeat what its reader knows: `return=minimal`."""
        return self._given.get("return") == "minimal"

    @property
    def wait(self) -> int | None:
        """How many seconds an answer may take: `wait=N`, at most `MAX_WAIT`; None if it is not said."""
        text = self._given.get("wait", "")
        return min(int(text), MAX_WAIT) if text.isascii() and text.isdigit() and len(text) <= 9 else None  # noqa: PLR2004 - more says nothing more

    def apply(self, preference: str) -> None:
        """Say that this one was applied."""
        self._applied.append(preference)

    def tell(self, response: Response) -> Response:
        """The response, which says what was applied."""
        if self._applied:
            response.headers[APPLIED] = ", ".join(self._applied)
        return response
