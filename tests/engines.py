"""ClickHouse for a test, with empty tables: the engine in process, or a server over HTTP. Both must do the same."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from service.read_model.clickhouse.connecting import connect
from service.read_model.clickhouse.driver import Driver
from service.read_model.clickhouse.schema import create_schema

ENGINES: Final = ("chdb", "server")


@asynccontextmanager
async def empty_tables(engine: str, directory: Path, server: Callable[[], str]) -> AsyncIterator[Driver]:
    """A driver that is closed at the end: a process can hold one chdb engine at a time. `server` gives its DSN."""
    async with empty_database(engine, directory, server) as driver:
        await create_schema(driver, migrating=True)
        yield driver


@asynccontextmanager
async def empty_database(engine: str, directory: Path, server: Callable[[], str]) -> AsyncIterator[Driver]:
    """The same without tables."""
    dsn = f"chdb://{directory}/clickhouse"
    if engine == "server":
        dsn = await new_database(server(), directory)
    driver = connect(dsn)
    yield driver
    if engine == "server":  # it looks after every table that it has, and takes longer to make one with each
        await driver.command(f"DROP DATABASE {dsn.rpartition('/')[2]}")
    await driver.close()


async def new_database(server: str, directory: Path) -> str:
    """The DSN of a database on the server that nobody else uses: it is called as the test's directory."""
    name = "".join(character if character.isalnum() else "_" for character in str(directory))
    default = connect(f"{server}/default")
    await default.command(f"CREATE DATABASE {name}")
    await default.close()
    return f"{server}/{name}"
