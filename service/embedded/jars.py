"""The broker's jars: resolved by Maven from the pinned pom.xml, once per user."""

import asyncio
import hashlib
import re
import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import structlog
from filelock import AsyncFileLock
from platformdirs import user_cache_path

from service.embedded.errors import ALTERNATIVES, EmbeddedError

_POM: Final = files("service.embedded") / "pom.xml"

log = structlog.get_logger(__name__)


def cache_directory() -> Path:
    """Where the jars are kept, for all data directories of this user."""
    return user_cache_path("task-execution-service") / "kafka"


def kept_jars() -> Path | None:
    """The folder with the jars of the pom.xml, if they were fetched already."""
    jars = _folder(cache_directory())
    return jars if jars.is_dir() else None


def _folder(cache: Path) -> Path:
    return cache / hashlib.sha256(_POM.read_bytes()).hexdigest()[:16]


async def resolve_jars(cache: Path) -> Path:
    """Return the folder that holds the jars of the pom.xml; download them if this pom.xml is new to `cache`.

    The folder appears whole or not at all, so being killed leaves nothing behind that counts; of several processes
    one downloads while the others wait.

    Raises:
        EmbeddedError: Maven is missing or fails, or the cache can't be written.
    """
    jars = _folder(cache)
    if jars.is_dir():
        return jars
    try:
        await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
        async with AsyncFileLock(cache / "lock"):
            if not jars.is_dir():
                await _download(cache, jars)
    except OSError as error:
        raise EmbeddedError(f"Kafka's jars can't be kept in {cache}: {error.strerror}.") from error
    return jars


async def _download(cache: Path, jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise EmbeddedError(
            f"The embedded Kafka is fetched by Maven, and there is no mvn: install it (Debian: apt install maven), "
            f"{ALTERNATIVES}."
        )
    log.info("kafka_download_started", folder=str(jars), note="about 43 MB, once")
    unfinished = cache / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    goal = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"
    command = [maven, "--batch-mode", "--quiet", "-Dstyle.color=never", goal]
    # A repository of its own: whatever is in the user's can't change what runs here.
    options = [f"-Dmaven.repo.local={cache / 'maven'}", "-DincludeScope=runtime", f"-DoutputDirectory={unfinished}"]
    with as_file(_POM) as pom:
        await _run([*command, f"--file={pom}", *options])
    unfinished.rename(jars)
    log.info("kafka_download_finished", folder=str(jars))


async def _run(command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise EmbeddedError(f"Maven could not fetch Kafka: {_reason(output.decode(errors='replace'))}; {ALTERNATIVES}.")


def _reason(output: str) -> str:
    errors = [line for line in output.splitlines() if "[ERROR]" in line]
    if not errors:
        return (output.strip().splitlines() or ["it said nothing"])[-1]
    text = re.sub(r".*\[ERROR\] | -> \[Help.*", "", errors[0])
    return text[max(text.rfind("Could not"), 0) :]  # the cause stands last
