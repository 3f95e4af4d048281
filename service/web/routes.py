"""All pages."""

from fastapi import APIRouter

from service.api.ports import Pages, Queries
from service.ports.commands import Gateway
from service.ports.definitions import Definitions
from service.web.assets import asset_routes
from service.web.choosing import actions_on_chosen
from service.web.definitions import definition_pages
from service.web.execution import execution_pages
from service.web.executions import execution_list
from service.web.overview import overview
from service.web.rejections import rejection_pages
from service.web.routing import shown_to_people
from service.web.tasks import task_pages


def all_pages(
    queries: Queries, commands: Gateway, definitions: Definitions, principal_header: str | None = None
) -> Pages:
    """The routes of the pages, and of the files that they need; and how a problem is shown."""
    router = APIRouter(include_in_schema=False)
    router.include_router(asset_routes())
    router.include_router(overview(queries))
    router.include_router(execution_list(queries))
    router.include_router(actions_on_chosen(queries, commands, principal_header))
    router.include_router(execution_pages(queries, commands, principal_header))
    router.include_router(task_pages(queries))
    router.include_router(definition_pages(definitions, commands, principal_header))
    router.include_router(rejection_pages(queries, commands, principal_header))
    return Pages(router, shown_to_people)
