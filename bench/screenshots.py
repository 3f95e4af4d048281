"""Takes the pictures of docs/page.md from a demo of its own: `python -m bench.screenshots`."""

import asyncio
import contextlib
import json
import signal
import sys
import urllib.request
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser

from tests.chromium import running_browser

_IMAGES: Final = Path(__file__).parent.parent / "docs" / "images"
_SIZES: Final[dict[str, Any]] = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 800}}


async def main() -> None:
    """Start the demo, take them, and end it."""
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "demo", "--executions", "3000", "--http-port", "0", "--kafka-port", "0",
        stderr=PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = await url_of(demo)
        failed = _first(f"{url}/api/v1/task-executions?status=FAILURE&pageSize=1&text=Exception")
        waiting = _first(f"{url}/api/v1/task-executions?pageSize=1")
        async with running_browser() as browser:
            for name, path, scheme, size in (
                ("overview-light", "/?period=1h", "light", "wide"),
                ("overview-dark", "/?period=1h", "dark", "wide"),
                ("executions-light", "/executions", "light", "wide"),
                ("executions-dark", "/executions?status=FAILURE&status=STOPPED", "dark", "wide"),
                ("executions-phone", "/executions", "light", "phone"),
                ("failure-light", f"/executions/{failed['id']}", "light", "wide"),
                ("task-dark", f"/tasks/{failed['taskId']}?period=1h", "dark", "wide"),
                ("definition-light", f"/definitions/{waiting['taskId']}/{waiting['taskVersion']}", "light", "wide"),
            ):
                await _take(browser, f"{url}{path}", name, scheme, size)
    finally:
        with contextlib.suppress(ProcessLookupError):
            demo.send_signal(signal.SIGINT)
        await demo.wait()


async def url_of(demo: Process) -> str:
    """Where the pages of a demo are, as soon as its workload is over."""
    assert demo.stderr is not None  # noqa: S101 - it is a pipe
    url = ""
    async for line in demo.stderr:
        words = line.decode().split()
        if words[:1] == ["Pages"]:
            url = words[1].rstrip("/")
        if url and words[:1] == ["Ctrl-C"]:
            return url
    raise RuntimeError("The demo ended before it was up.")


def _first(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own demo
        first: dict[str, Any] = json.load(answer)["items"][0]
        return first


async def _take(browser: Browser, url: str, name: str, scheme: Any, size: str) -> None:  # noqa: ANN401 - a literal of playwright's
    page = await browser.new_page(color_scheme=scheme, viewport=_SIZES[size])
    await page.goto(url)
    await page.wait_for_timeout(300)
    _IMAGES.mkdir(exist_ok=True)
    await page.screenshot(path=_IMAGES / f"{name}.png")
    await page.close()


if __name__ == "__main__":
    asyncio.run(main())
