"""What is refused before any route sees it: names that are not ours, other origins' changes, heads without end.

The API has no authentication, so a web page that its user's browser has open must not reach it: neither by a name of
its own that leads to our address (DNS rebinding), nor by a request that a browser sends without asking (CSRF).
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.errors import problem_response
from service.contracts.problems import Code, RejectedError, reject

MAX_HEAD_BYTES: Final = 16_384
"""The largest request target and header fields together; h11 refuses a head of this size that comes in pieces."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(:[0-9]*)?")  # RFC 3986, 3.2.2
_SAFE: Final = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names in `Host` that the API answers to: those of loopback, and these. Ports do not matter.

    `names` are in lower case; `*` stands for every name. `addresses` allows every IP address: rebinding needs a name.
    """

    names: frozenset[str] = frozenset()
    addresses: bool = False

    def allow(self, host: str) -> bool:
        """Whether the API answers to this name or address."""
        name = host.lower().removesuffix(".").strip("[]")
        if "*" in self.names or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return name in self.names
        return address.is_loopback or self.addresses or str(address) in self.names


class Guard:
    """ASGI middleware around everything that the API serves."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the problem, or let the app answer."""
        try:
            if scope["type"] == "http":
                self._check(scope)
        except RejectedError as refused:
            await problem_response(refused.problem)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        _check_size(scope)
        if scope["path"].endswith("\n"):  # the router's patterns end with `$`, which overlooks it
            raise reject(Code.NOT_FOUND, "No path ends with a line feed. /openapi.json describes all that there is.")
        headers = Headers(scope=scope)
        host = _host(headers)
        if not self._hosts.allow(host[1]):
            raise reject(
                Code.HOST_NOT_ALLOWED,
                f"The API does not answer to the host {host[1]}. If it is a name of this service, list it in the "
                "setting TASKEXEC_ALLOWED_HOSTS.",
            )
        if scope["method"] not in _SAFE and not _same_origin(headers, host[0]):
            raise reject(
                Code.CROSS_ORIGIN,
                "A browser sent this for a page of another origin. Only pages of this origin, and programs that are no "
                "browsers, may change something.",
            )


def _check_size(scope: Scope) -> None:
    size = len(scope["query_string"]) + sum(len(name) + len(value) for name, value in scope["headers"])
    size += len(scope.get("raw_path") or b"")
    if size > MAX_HEAD_BYTES:
        raise reject(
            Code.HEAD_TOO_LARGE,
            f"The request's target and header fields have {size} bytes; at most {MAX_HEAD_BYTES} are allowed.",
        )


def _host(headers: Headers) -> re.Match[str]:
    """The value of `Host`, with the name as its first group (RFC 9112, 3.2)."""
    given = headers.getlist("host")
    match = _HOST.fullmatch(given[0]) if len(given) == 1 else None
    if match is None:
        raise reject(
            Code.MALFORMED_REQUEST, "The request must have exactly one header Host, with a name and perhaps a port."
        )
    return match


def _same_origin(headers: Headers, host: str) -> bool:
    """The algorithm of CrossOriginProtection in Go 1.25's net/http: browsers say where a request comes from."""
    if sites := headers.getlist("sec-fetch-site"):
        return all(site in {"same-origin", "none"} for site in sites)
    return all(_authority(origin) == host.lower() for origin in headers.getlist("origin"))


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
