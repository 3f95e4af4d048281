"""Five things that people come for, done on the pages by Chromium: `python -m bench.five_tasks`.

Counts what a person would have to do (clicks, and fields to fill), and the seconds until the last page is there: what
the pages take, not what a person thinks. It runs a demo of its own.
"""

import asyncio
import contextlib
import json
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from typing import Final

from playwright.async_api import Locator, Page

from bench.screenshots import url_of
from tests.chromium import running_browser

_TASK: Final = "etl:clean_events"


class Person:
    """Who does it, and how much it takes."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.clicks = self.fields = 0

    async def click(self, target: Locator, *, leads: bool = True) -> None:
        """Click; `leads` says whether another page comes of it."""
        self.clicks += 1
        if not leads:
            await target.click()
            return
        async with self.page.expect_navigation():
            await target.click()

    async def fill(self, label: str, text: str) -> None:
        """Fill a field."""
        self.fields += 1
        await self.page.get_by_label(label).fill(text)


async def failures_of_a_task(one: Person) -> None:
    """Find the failures of one task since last night."""
    await one.click(one.page.get_by_role("link", name="Tasks", exact=True))
    await one.click(one.page.get_by_role("link", name=_TASK).first)
    await one.page.locator(".inbox li").first.wait_for()


async def see_why(one: Person) -> None:
    """From there, see why one failed."""
    await one.click(one.page.locator(".inbox li a").first)
    await one.page.locator(".failure pre").wait_for()


async def run_again(one: Person) -> None:
    """From there, run it again."""
    await one.click(one.page.get_by_role("link", name="Run again…"))
    await one.click(one.page.get_by_role("button", name="Run again"))
    await one.page.get_by_text("PENDING").first.wait_for()


async def compare_versions(one: Person) -> None:
    """Compare p95 of two versions of a task."""
    await one.click(one.page.get_by_role("link", name="Tasks", exact=True))
    await one.click(one.page.get_by_role("link", name=_TASK).first)
    await one.page.locator(".versions").wait_for()


async def stop_all_of(one: Person) -> None:
    """Stop everything of one creator."""
    await one.click(one.page.get_by_role("link", name="Executions", exact=True))
    await one.fill("Created by", "scheduler")
    await one.click(one.page.get_by_role("button", name="Show").first)
    await one.click(one.page.locator("button[data-action=stop]"), leads=False)
    await one.click(one.page.get_by_role("button", name="Stop: "), leads=False)
    await one.page.get_by_role("dialog").get_by_text("accepted").wait_for()


async def main() -> None:
    """Print a line of JSON for each."""
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "demo", "--executions", "3000", "--http-port", "0", "--kafka-port", "0",
        stderr=PIPE, stdout=DEVNULL,
    )  # fmt: skip
    try:
        url = await url_of(demo)
        async with running_browser() as browser:
            page = await browser.new_page()
            await page.goto(url)
            for task in (failures_of_a_task, see_why, run_again, compare_versions, stop_all_of):
                one, began = Person(page, url), time.monotonic()
                await task(one)
                print(json.dumps({
                    "task": (task.__doc__ or "").rstrip("."), "clicks": one.clicks, "fields": one.fields,
                    "seconds": round(time.monotonic() - began, 2),
                }))  # fmt: skip
    finally:
        with contextlib.suppress(ProcessLookupError):
            demo.send_signal(signal.SIGINT)
        await demo.wait()


if __name__ == "__main__":
    asyncio.run(main())
