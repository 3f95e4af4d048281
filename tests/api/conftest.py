from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from service.api.app import create_app
from service.ports.readiness import Check
from tests.api.scripted import ScriptedClaims, ScriptedCommands, ScriptedDefinitions, ScriptedQueries


@pytest.fixture
def commands() -> ScriptedCommands:
    return ScriptedCommands()


@pytest.fixture
def queries() -> ScriptedQueries:
    return ScriptedQueries()


@pytest.fixture
def claims() -> ScriptedClaims:
    return ScriptedClaims()


@pytest.fixture
def checks() -> dict[str, Check]:
    return {}


@pytest.fixture
def app(
    commands: ScriptedCommands, queries: ScriptedQueries, claims: ScriptedClaims, checks: dict[str, Check]
) -> FastAPI:
    return create_app(commands, queries, checks, claims=claims, definitions=ScriptedDefinitions())


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
