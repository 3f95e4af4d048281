"""How fast the pages are at scale: `python -m bench.page --executions N [--json]`.

The tables are filled by ClickHouse itself and merged; then Debian's Chromium opens each page, and clicks, as a person
would. `paint` is the browser's first contentful paint since the navigation began, `server` the time to the first byte.
Of a click, `paint` is that of the page it leads to, since the button was let go of: at once, or as a hand does it.
"""

import asyncio
import json
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from playwright.async_api import Page
from rich.console import Console
from rich.table import Table

from bench.stored_runs import filled
from service.api.app import create_app
from service.contracts.problems import Code, reject
from service.queries.executions import TaskExecutionQueries
from service.queries.requests import ListTaskExecutions
from service.read_model.clickhouse.connecting import connect
from service.runtime.http import serving_api
from service.settings import Settings
from service.web.routes import all_pages
from tests.chromium import running_browser

_TIMING: Final = """() => {
    const at = performance.getEntriesByType("navigation")[0];
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return [at.responseStart, paint ? paint.startTime : null];
}"""


class _Nobody:
    """There is no write side: only what reads is measured."""

    async def submit(self, *_: Any, **__: Any) -> NoReturn:  # noqa: ANN401
        raise reject(Code.UNAVAILABLE, "There is no write side here.")

    submit_raw = list = get = submit


def main(
    *,
    executions: Annotated[int, typer.Option(help="How many are stored.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(help="How often each page is opened.")] = 15,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each page.")] = False,
) -> None:
    """Measure every page, and what is clicked there."""
    with tempfile.TemporaryDirectory() as working:
        rows = asyncio.run(_measured(Path(working), executions, rounds))
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    table = Table(*rows[0], title=f"{executions:,} executions; milliseconds, {rounds} times each")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


async def _measured(working: Path, executions: int, rounds: int) -> list[dict[str, Any]]:
    driver = connect(f"chdb://{working}/clickhouse", memory_bytes=8 << 30)
    try:
        _, store = await filled(driver, executions)
        queries = TaskExecutionQueries(store, 8)
        nobody: Any = _Nobody()
        app = create_app(nobody, queries, {}, pages=all_pages(queries, nobody, nobody))
        one = (await queries.list(ListTaskExecutions())).items[0]
        async with serving_api(Settings(http_port=0), app) as (_, url), running_browser() as browser:
            page = await browser.new_page()
            rows = [
                await _row(path, page, rounds, partial(page.goto, url + path)) for path in _paths(one.task_id, one.id)
            ]
            for pressed in (0.0, _PRESSED_SECONDS):
                how = "click" if pressed else "click, let go of at once"
                rows += [
                    await _row(f"{how}: {name}", page, rounds, partial(_click, page, url, selector, pressed))
                    for name, selector in _CLICKS.items()
                ]
        return rows
    finally:
        await driver.close()


_PRESSED_SECONDS: Final = 0.08
"""So long a hand holds the button; the browser asks for the link as soon as it is pressed."""

_CLICKS: Final = {
    "a status": "nav[aria-label='Counts by status'] .status-FAILURE",
    "a period": ".periods a:nth-child(3)",
    "next page": "a[rel=next]",
    "a tag": "a.tag",
    "an execution": "tr[data-row] td a[title]",
}


async def _click(page: Page, url: str, selector: str, pressed: float) -> None:
    await page.goto(f"{url}/executions?period=all")
    async with page.expect_navigation():
        await page.locator(selector).first.click(delay=pressed * 1000)


def _paths(task_id: str, execution_id: str) -> tuple[str, ...]:
    return (
        "/executions", "/executions?period=all", "/executions?period=all&status=FAILURE",
        f"/executions?period=all&taskId={task_id}", "/executions?period=all&sort=duration",
        f"/executions/{execution_id}", "/", "/?period=7d", "/tasks", "/tasks?period=7d", f"/tasks/{task_id}",
        "/rejections",
    )  # fmt: skip


async def _row(name: str, page: Page, rounds: int, go: Any) -> dict[str, Any]:  # noqa: ANN401 - of what it gives, nothing is used
    servers, paints = [], []
    for _ in range(rounds + 1):
        await go()
        await page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
        server, paint = await page.evaluate(_TIMING)
        servers.append(server)
        paints.append(paint)
    return {"page": name} | {
        f"{what} {level}": round(_quantile(of[1:], share))
        for what, of in (("server", servers), ("paint", paints))
        for level, share in (("p50", 0.5), ("p95", 0.95))
    }


def _quantile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


if __name__ == "__main__":
    typer.run(main)
