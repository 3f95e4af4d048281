"""Routes of pages: what goes wrong is a page, too."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from service.api.errors import invalid
from service.contracts.problems import Code, Problem, RejectedError, problem
from service.contracts.replies import CommandUnansweredError
from service.web.rendering import page

_API: Final = "/api/"

VARY: Final = "Accept, HX-Request"
"""Of what programs get something else in place of."""


class PageRoute(APIRoute):
    """A route whose refusals are shown to people."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's way to wrap what it makes of the function."""
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await handle(request)
            except RejectedError as refused:
                answer = refused.problem
            except RequestValidationError as error:
                answer = invalid(error)
            except CommandUnansweredError as unanswered:
                answer = problem(Code.UNAVAILABLE, str(unanswered))
            return _shown(request, answer)

        return shown


class BrowserRoute(PageRoute):
    """A page at a path where programs are given something else: it is for who asks for HTML."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Starlette's way to ask a route whether it answers."""
        return super().matches(scope) if _asks_for_html(scope) else (Match.NONE, {})


def shown_to_people(request: Request, answer: Problem) -> Response | None:
    """The problem as a page, for who asks for HTML; None for programs, and wherever only programs ask."""
    if request.url.path.startswith(_API) or not _asks_for_html(request.scope):
        return None
    shown = _shown(request, answer)
    shown.headers["Vary"] = VARY
    return shown


def _shown(request: Request, answer: Problem) -> Response:
    return page(request, "problem.html", {"problem": answer}, answer.status)


def _asks_for_html(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "text/html" in headers.get("accept", "") or "hx-request" in headers  # htmx accepts anything, and says so
