"""The files that pages need: our own, and htmx from its package. A file's URL changes with its content."""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, Response

from service.contracts.problems import Code, reject

PREFIX: Final = "/assets"

_TYPES: Final = {
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/speculationrules+json",
    "svg": "image/svg+xml",
}
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


def _sources() -> dict[str, Traversable]:
    own = {file.name: file for file in files("service.web").joinpath("static").iterdir()}
    return {**own, "htmx.js": files("js_lib_htmx").joinpath("static", "htmx", "htmx.min.js")}


@cache
def _contents() -> dict[str, tuple[bytes, str]]:
    """By name: the bytes, and the beginning of their hash."""
    read = {name: source.read_bytes() for name, source in _sources().items()}
    return {name: (content, sha256(content).hexdigest()[:12]) for name, content in read.items()}


def url_of(name: str) -> str:
    """Where the file is, as it is now.

    Raises:
        KeyError: there is none of this name.
    """
    return f"{PREFIX}/{_contents()[name][1]}/{name}"


def asset_routes() -> APIRouter:
    """The route of the files."""
    router = APIRouter(include_in_schema=False)

    @router.get(PREFIX + "/{digest}/{name}")
    async def asset(digest: str, name: str) -> Response:
        content, current = _contents().get(name, (b"", ""))
        if digest != current:  # one of another version: the page that names it must be loaded anew
            raise reject(Code.NOT_FOUND, f"There is no file {name} in this version.")
        return Response(content, headers=_FOREVER, media_type=_TYPES[name.rpartition(".")[2]])

    return router
