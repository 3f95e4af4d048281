"""The pages over HTTP, with ports that answer what a test tells them to."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser

from httpx2 import ASGITransport, AsyncClient

from service.api.app import create_app
from service.web.routes import all_pages
from tests.api.scripted import ScriptedCommands, ScriptedDefinitions, ScriptedQueries

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)> \u202egnp.exe ' + "x" * 100_000
"""What somebody might write into any text."""


@asynccontextmanager
async def serving(
    queries: ScriptedQueries | None = None,
    commands: ScriptedCommands | None = None,
    definitions: ScriptedDefinitions | None = None,
) -> AsyncIterator[AsyncClient]:
    queries, commands = queries or ScriptedQueries(), commands or ScriptedCommands()
    pages = all_pages(queries, commands, definitions or ScriptedDefinitions())
    app = create_app(commands, queries, {}, pages=pages)
    transport = ASGITransport(app, raise_app_exceptions=False)
    headers = {"Accept": "text/html"}
    async with AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client


class Page(HTMLParser):
    """A page as a browser reads it: its elements with their attributes, and its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def links(self) -> list[str]:
        return [attributes["href"] or "" for attributes in self.of("a")]

    def check_safety(self) -> None:
        """Nothing that a value holds has become markup, and nothing is inline."""
        assert all(attributes.get("src", "").startswith("/assets/") for attributes in self.of("script"))  # type: ignore[union-attr]
        assert not self.of("img")
        assert not [name for _, attributes in self.elements for name in attributes if name.startswith("on")]
        assert not [attributes for _, attributes in self.elements if "style" in attributes]
