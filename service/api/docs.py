"""The interactive reference: Swagger UI from its package, served by ourselves; no other host is asked for anything."""

from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response

from service.contracts.problems import Code, reject

_OWN: Final = files("service.api").joinpath("static")
_PACKAGE: Final = files("fastapi_offline").joinpath("static")
_FILES: Final = {
    "docs.js": (_OWN, "text/javascript"),
    "swagger-ui-bundle.js": (_PACKAGE, "text/javascript"),
    "swagger-ui.css": (_PACKAGE, "text/css"),
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@cache
def _read(name: str) -> bytes:
    folder, _ = _FILES[name]
    return folder.joinpath(name).read_bytes()


def docs_routes() -> APIRouter:
    """The page at `/docs`, and its files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> Response:
        return Response(_OWN.joinpath("docs.html").read_bytes(), media_type="text/html", headers=_HEADERS)

    @router.get("/docs/{name}")
    async def file(name: str) -> Response:
        if name not in _FILES:
            raise reject(Code.NOT_FOUND, f"There is no file {name}; the reference needs {', '.join(_FILES)}.")
        return Response(_read(name), media_type=_FILES[name][1], headers=_HEADERS)

    return router
