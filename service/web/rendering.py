"""Turns templates into answers that a strict Content-Security-Policy protects."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from service.web.assets import url_of
from service.web.links import link
from service.web.wording import FILTERS

NAVIGATION: Final = (
    ("/", "Overview"), ("/executions", "Executions"), ("/tasks", "Tasks"), ("/definitions", "Definitions"),
    ("/rejections", "Rejections"),
)  # fmt: skip
"""The pages of the header: where, and what they are called."""

SECURITY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every page: whatever a value holds, nothing of it runs, and nothing is asked of another host."""

_AHEAD: Final = {"Speculation-Rules": f'"{url_of("speculation.json")}"'}
"""A link is asked for when it is pressed: when it is let go of, its page is there (docs/adr/0049)."""


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("service.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(FILTERS)
    made.globals.update(asset=url_of, navigation=NAVIGATION, link=link)
    return made


_TEMPLATES: Final = _environment()


def page(request: Request, template: str, values: Mapping[str, Any], status: int = HTTPStatus.OK) -> Response:
    """The template with these values; it also has `path`, the request's path."""
    text = _TEMPLATES.get_template(template).render(path=request.url.path, **values)
    return Response(text, status, SECURITY | _AHEAD, "text/html")
