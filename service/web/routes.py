"""All pages."""

from fastapi import APIRouter

from service.api.ports import Queries
from service.web.assets import asset_routes
from service.web.executions import execution_list
from service.web.overview import overview


def page_routes(queries: Queries) -> APIRouter:
    """The routes of the pages, and of the files that they need."""
    router = APIRouter(include_in_schema=False)
    router.include_router(asset_routes())
    router.include_router(overview(queries))
    router.include_router(execution_list(queries))
    return router
