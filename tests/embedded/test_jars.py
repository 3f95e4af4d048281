import asyncio
import os
import shutil
from pathlib import Path

import pytest

from service.embedded.errors import EmbeddedError
from service.embedded.jars import resolve_jars
from tests.embedded.until import until

SLOW = (
    'for o; do case $o in -DoutputDirectory=*) d=${o#*=};; esac; done; mkdir "$d"; echo >> "$0.runs"; touch "$d/a.jar"'
)
OFFLINE = "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=9 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9"


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mvn that counts how often it is run; Maven itself would need the network."""
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def does(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


async def test_of_many_at_once_one_downloads(maven: Path, tmp_path: Path) -> None:
    does(maven, SLOW)
    cache = tmp_path / "cache"
    folders = await asyncio.gather(*(resolve_jars(cache) for _ in range(5)), resolve_jars(cache))
    assert len(set(folders)) == 1
    assert [jar.name for jar in folders[0].iterdir()] == ["a.jar"]
    assert maven.with_name("mvn.runs").read_text() == "\n"


async def test_what_a_killed_download_left_is_not_used(maven: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    does(maven, f'{SLOW}; mv "$d/a.jar" "$d/half"; touch {tmp_path}/half; exec sleep 60')
    first = asyncio.create_task(resolve_jars(cache))
    await until((tmp_path / "half").exists)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    does(maven, SLOW)
    assert [jar.name for jar in (await resolve_jars(cache)).iterdir()] == ["a.jar"]


async def test_without_maven_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EmbeddedError) as error:
        await resolve_jars(tmp_path)
    assert str(error.value) == (
        "The embedded Kafka is fetched by Maven, and there is no mvn: install it (Debian: apt install maven), or use "
        "`docker compose up`, or name a broker of your own in KAFKA_BOOTSTRAP_SERVERS."
    )


@pytest.mark.skipif(shutil.which("mvn") is None, reason="there is no mvn")
async def test_a_maven_without_a_network_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAVEN_OPTS", OFFLINE)
    with pytest.raises(EmbeddedError, match=r"^Maven could not fetch Kafka: .*refused.* KAFKA_BOOTSTRAP_SERVERS\.$"):
        await resolve_jars(tmp_path)


async def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match=rf"Kafka's jars can't be kept in {tmp_path}/file/cache: Not a directory"):
        await resolve_jars(tmp_path / "file" / "cache")
