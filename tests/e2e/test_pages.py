"""The pages in a browser, with the whole service behind them; the API is a process, which ends and comes back."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect
from uuid_utils.compat import uuid7

from service.bootstrap import running_service
from service.client import TaskExecutions, publish_definitions
from service.contracts.definitions import TaskDefinition
from service.contracts.status import Status
from service.embedded.ports import free_port
from service.kafka.connection import Kafka
from service.runtime.running import Role
from service.settings import Settings
from tests.chromium import running_browser
from tests.client.service import DEFINITION, INPUTS, TASK, VERSION
from tests.e2e.process import TASKEXEC, clean_environment
from tests.engines import new_database

SOON = 15_000
"""In milliseconds: machines are shared."""


@dataclass
class Service:
    """Handler and projector run in this process; the API in one that `begin` and `end` are about."""

    url: str
    environment: dict[str, str]
    log: Path
    tasks: TaskExecutions
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    async def begin(self) -> None:
        with self.log.open("ab") as log:
            self.processes.append(
                subprocess.Popen([*TASKEXEC, "api"], env=clean_environment() | self.environment, stderr=log)  # noqa: ASYNC220 - at once
            )
        async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(30):
            while not await self._is_ready(http):
                assert self.processes[-1].poll() is None, self.log.read_text("utf-8")
                await asyncio.sleep(0.1)

    async def _is_ready(self, http: httpx2.AsyncClient) -> bool:
        try:
            return (await http.get(f"{self.url}/readyz")).is_success
        except httpx2.TransportError:
            return False

    async def end(self) -> None:
        self.processes[-1].terminate()
        assert await asyncio.to_thread(self.processes[-1].wait, 20) == 0


@pytest_asyncio.fixture(scope="module")
async def service(
    kafka: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    directory = tmp_path_factory.mktemp("pages")
    prefix, port = f"{uuid7()}.", free_port("127.0.0.1")
    dsn = await new_database(clickhouse_server, directory)
    settings = Settings(kafka_bootstrap_servers=kafka, prefix=prefix, clickhouse_dsn=dsn, partitions=4)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka, "TASKEXEC_PREFIX": prefix, "CLICKHOUSE_DSN": dsn, "TASKEXEC_PARTITIONS": "4",
        "TASKEXEC_HTTP_PORT": str(port),
    }  # fmt: skip
    here = Kafka(kafka, prefix)
    async with (
        running_service(settings, (Role.HANDLER, Role.PROJECTOR)),
        TaskExecutions.over_kafka(here, "/a-worker") as tasks,
    ):
        await publish_definitions(here, [TaskDefinition.model_validate(DEFINITION)])
        service = Service(f"http://127.0.0.1:{port}", environment, directory / "api.log", tasks)
        await service.begin()
        yield service
        await service.end()


@pytest_asyncio.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as browser:
        yield browser


def status_of(page: Page) -> Locator:
    return page.locator("h1 .status")


def row(page: Page, id_: str) -> Locator:
    return page.locator(f"tr[data-row='{id_}']")


async def begun(service: Service, **more: Any) -> str:
    return (await service.tasks.execute(TASK, VERSION, INPUTS, **more)).id


async def test_an_execution_from_the_form_to_its_end(browser: Browser, service: Service) -> None:
    async with await browser.new_context() as context:
        listed, page = await context.new_page(), await context.new_page()
        await listed.goto(f"{service.url}/executions?taskId={TASK}&period=all")
        before = await listed.locator("tr[data-row]").count()

        await page.goto(f"{service.url}/definitions/{TASK}/{VERSION}")
        await page.get_by_label("day").fill("yesterday")
        await page.get_by_role("button", name="Start").click()
        await expect(page.get_by_label("day")).to_have_attribute("aria-invalid", "true")
        await expect(page.locator(".flaw")).to_contain_text("must match")
        await page.get_by_label("day").fill(INPUTS["day"])
        await page.get_by_role("button", name="Start").click()
        await page.wait_for_url("**/executions/*")
        id_ = page.url.rpartition("/")[2].partition("?")[0]
        await expect(status_of(page)).to_have_text("PENDING")
        await expect(row(listed, id_)).to_contain_text("PENDING", timeout=SOON)

        await service.tasks.start(id_)
        await expect(status_of(page)).to_have_text("RUNNING", timeout=SOON)
        await expect(row(listed, id_)).to_contain_text("RUNNING", timeout=SOON)
        await service.tasks.fail(id_, "disk full on node 7")
        await expect(status_of(page)).to_have_text("FAILURE", timeout=SOON)
        await expect(page.locator(".failure")).to_contain_text("disk full on node 7")
        await expect(row(listed, id_)).to_contain_text("disk full on node 7", timeout=SOON)

        await page.get_by_role("link", name="Run again…").click()
        await page.get_by_role("button", name="Run again").click()
        await expect(status_of(page)).to_have_text("PENDING")
        new = page.url.rpartition("/")[2].partition("?")[0]
        assert new != id_
        await expect(row(listed, new)).to_contain_text("PENDING", timeout=SOON)
        await page.get_by_text("Stop…").click()
        await page.get_by_label("Why").fill("superseded")
        await page.get_by_role("button", name="Stop it").click()
        await expect(status_of(page)).to_have_text("STOPPED")
        await expect(page.locator(".steps")).to_contain_text("superseded")
        await expect(row(listed, new)).to_contain_text("STOPPED", timeout=SOON)
        await expect(listed.locator("tr[data-row]")).to_have_count(before + 2)


async def test_those_selected_are_stopped_while_others_come(browser: Browser, service: Service) -> None:
    tag = str(uuid7())
    first, second = [await begun(service, tags=[tag]) for _ in range(2)]
    page = await browser.new_page()
    await page.goto(f"{service.url}/executions?tag={tag}")
    await expect(page.locator("tr[data-row]")).to_have_count(2, timeout=SOON)
    for key in "jxjx":
        await page.keyboard.press(key)
    third = await begun(service, tags=[tag])
    await page.get_by_role("button", name="change").click()
    await expect(row(page, third)).to_be_visible()
    await expect(page.locator("#selected")).to_have_text("2 selected")
    await page.locator("button[name=action][value=stop]").click()
    await page.get_by_role("button", name="Stop: 2").click()
    await expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("2 accepted.", timeout=SOON)
    await page.get_by_role("button", name="Close").click()

    for id_, status in ((first, "STOPPED"), (second, "STOPPED"), (third, "PENDING")):
        await expect(row(page, id_)).to_contain_text(status, timeout=SOON)
    await page.close()


async def test_an_api_that_goes_and_comes_back_is_told_and_nothing_is_missed(
    browser: Browser, service: Service
) -> None:
    tag = str(uuid7())
    id_ = await begun(service, tags=[tag])
    async with await browser.new_context() as context:
        listed, page = await context.new_page(), await context.new_page()
        await listed.goto(f"{service.url}/executions?tag={tag}")
        await page.goto(f"{service.url}/executions/{id_}")
        await expect(status_of(page)).to_have_text("PENDING")
        await service.end()
        for one in (listed, page):
            await expect(one.locator("#live")).to_contain_text("Reconnecting", timeout=SOON)
        await service.tasks.start(id_)
        await service.tasks.fail(id_, "disk full on node 7")
        second = await begun(service, tags=[tag])
        await expect(row(listed, id_)).to_contain_text("PENDING")  # what was known stays

        await service.begin()
        await expect(status_of(page)).to_have_text(Status.FAILURE, timeout=2 * SOON)
        await expect(row(listed, id_)).to_contain_text("FAILURE", timeout=SOON)
        await expect(row(listed, second)).to_contain_text("PENDING", timeout=SOON)
        await expect(listed.locator("#live")).to_have_text("")
        await service.tasks.stop(second)
        await expect(row(listed, second)).to_contain_text("STOPPED", timeout=SOON)
