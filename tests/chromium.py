"""Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, async_playwright, expect

CHROMIUM: Final = shutil.which("chromium")
"""Where it is, if it is installed."""


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """A browser, while the context is open. What is expected of a page may take its time: machines are shared."""
    expect.set_options(timeout=30_000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()
