"""service.api.docs: the reference is whole, and asks nobody else."""

import asyncio
import re
import socket

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from service.api.server import http_server
from tests.chromium import CHROMIUM, running_browser


async def test_the_page_has_nothing_of_its_own_and_all_its_files_are_here(http: AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)|<style|style=| on\w+=", page.text)
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) == 5
    for url in named:
        assert url.startswith(("/", "data:,"))
        if url.startswith("/"):
            assert (await http.get(url)).status_code == 200


@pytest.mark.parametrize("path", ["/docs/nothing.js", "/docs/redoc.standalone.js", "/docs/..%2fdocs.py"])
async def test_other_files_are_not_there(http: AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
async def test_a_browser_shows_every_operation_and_objects_to_nothing(app: FastAPI) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = http_server(app, "127.0.0.1", 0)
        serving = asyncio.create_task(server.serve([listener]))
        async with running_browser() as browser:
            page = await browser.new_page()
            said: list[str] = []
            asked: list[str] = []
            page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
            page.on("request", lambda request: asked.append(request.url))
            await page.goto(f"{url}/docs")
            await page.get_by_text("/api/v1/task-executions/events").wait_for()
            shown = await page.locator(".opblock").count()
        server.should_exit = True
        await serving
    operations = [operation for path in app.openapi()["paths"].values() for operation in path.values()]
    assert (shown, said) == (len(operations), [])
    assert all(one.startswith((url, "data:")) for one in asked)
