"""A real single-node Kafka in KRaft mode, as a child process that doesn't outlive this one."""

import asyncio
import os
import secrets
import shutil
import sys
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process, create_subprocess_exec
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from service.embedded import die_with_parent
from service.embedded.config import HOST, properties
from service.embedded.errors import EmbeddedError
from service.embedded.failures import reason
from service.embedded.jars import cache_directory, resolve_jars
from service.embedded.java import Java, find_java
from service.embedded.lock import locked
from service.embedded.ports import free_port, is_listening, wait_until_free

_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 20
_POLL_SECONDS: Final = 0.05
_SIGTERM_EXIT: Final = 143

log = structlog.get_logger(__name__)


class EmbeddedBroker:
    """One Kafka broker on loopback: `async with EmbeddedBroker(data_dir, port) as broker`.

    It uses `kafka`, `kafka.properties` and `kafka.log` in the directory; the caller owns that (see `data_directory`).
    `start` and `stop` or `kill` can follow each other any number of times: directory and port stay the same. Port 0
    is a free one. The thread that starts the broker must live as long as it: Linux takes the end of that thread for
    the end of the parent.
    """

    def __init__(self, data_dir: Path, port: int) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port or free_port(HOST)
        self.log_file = self.data_dir / "kafka.log"
        self._cluster_id = secrets.token_urlsafe(16)
        self._log_dir = self.data_dir / "kafka"
        self._process: Process | None = None
        self._new_archive: Path | None = None

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id of the JVM, or None if it doesn't run."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Return when the broker has acknowledged a write. Does nothing if it runs already.

        Raises:
            EmbeddedError: no Java, no Maven, port in use, disk full, or what the broker's log gives as the reason.
        """
        if self.pid:
            return
        began = time.monotonic()
        java = await asyncio.to_thread(find_java)
        jars = await resolve_jars(cache_directory())
        try:
            async with locked(self.data_dir / "kafka.lock") as lock, asyncio.timeout(_START_SECONDS):
                await wait_until_free(HOST, self.port)
                if not self._log_dir.exists():
                    await self._format(java, jars, lock)
                await self._serve(java, jars, lock)
        except TimeoutError:
            raise EmbeddedError(f"Kafka was not ready after {_START_SECONDS} s: {reason(self.log_file)}") from None
        except OSError as error:
            raise EmbeddedError(f"Kafka can't start in {self.data_dir}: {error.strerror}.") from error
        seconds = round(time.monotonic() - began, 1)
        log.info("kafka_started", address=self.bootstrap_servers, pid=self.pid, seconds=seconds)

    async def stop(self) -> None:
        """Stop it in an orderly way, or after a deadline as `kill` does. Does nothing if it doesn't run."""
        if not (self._process and self.pid):
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                status = await self._process.wait()
        except TimeoutError:
            log.warning("kafka_stop_forced", seconds=_STOP_SECONDS)
            await self.kill()
            return
        if status != _SIGTERM_EXIT:
            log.warning("kafka_stop_failed", exit_code=status, reason=reason(self.log_file))
        elif self._new_archive and self._new_archive.exists():
            self._new_archive.rename(self._new_archive.with_suffix(""))

    async def kill(self) -> None:
        """End it as a crash would (SIGKILL). Does nothing if it doesn't run."""
        if self._process and self.pid:
            self._process.kill()
            await self._process.wait()

    async def wait(self) -> None:
        """Return when the broker was stopped.

        Raises:
            EmbeddedError: it ended in another way; says what its log gives as the reason.
        """
        status = await self._process.wait() if self._process else None
        if status != _SIGTERM_EXIT:
            raise EmbeddedError(f"Kafka ended with exit code {status}: {reason(self.log_file)}")

    async def _format(self, java: Java, jars: Path, lock: int) -> None:
        """Make the log directory: whole, or not at all."""
        unfinished = self.data_dir / "kafka.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        arguments = ["format", f"--cluster-id={self._cluster_id}", f"--config={self._configure(unfinished)}"]
        formatting = await self._spawn([*java.command(jars, "kafka.tools.StorageTool"), *arguments], lock)
        try:
            status = await formatting.wait()
        except BaseException:
            formatting.kill()
            await formatting.wait()
            raise
        if status:
            raise EmbeddedError(f"Kafka's directory can't be made: {reason(self.log_file)}")
        unfinished.rename(self._log_dir)

    async def _serve(self, java: Java, jars: Path, lock: int) -> None:
        archive = jars / f"java-{java.version}.jsa"
        if archive.exists():
            self._new_archive, option = None, f"-XX:SharedArchiveFile={archive}"
        else:  # the JVM writes it when it ends; with it a start takes a third less time and 40 MB less memory
            self._new_archive = archive.with_name(f"{archive.name}.{os.getpid()}")
            option = f"-XX:ArchiveClassesAtExit={self._new_archive}"
        config = self._configure(self._log_dir)
        self._process = await self._spawn([*java.command(jars, "kafka.Kafka", option), config], lock)
        writing = asyncio.create_task(self._write())
        ending = asyncio.create_task(self.wait())
        try:
            done, _ = await asyncio.wait((writing, ending), return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        except BaseException:
            await self.kill()
            raise
        finally:
            writing.cancel()
            ending.cancel()
            await asyncio.gather(writing, ending, return_exceptions=True)

    async def _write(self) -> None:
        """Return when a write was acknowledged: a transactional producer's registration, in Kafka's own topic."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if not is_listening(HOST, self.port):
                continue
            producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap_servers, transactional_id="embedded-start")
            try:
                await producer.start()
            except (KafkaError, AssertionError):  # aiokafka asserts that there are brokers; a young one knows of none
                continue
            else:
                return
            finally:
                await producer.stop()

    def _configure(self, log_dir: Path) -> str:
        config = self.data_dir / "kafka.properties"
        config.write_text(properties(log_dir.name, self.port, free_port(HOST)))
        return config.name

    async def _spawn(self, command: list[str], lock: int) -> Process:
        with suppress(FileNotFoundError):
            self.log_file.replace(self.log_file.with_suffix(".log.old"))
        launcher = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        with self.log_file.open("wb") as output:
            return await create_subprocess_exec(
                *launcher,
                *command,
                cwd=self.data_dir,
                env={**os.environ, "LC_ALL": "C.UTF-8"},  # else Java may not find a directory outside ASCII
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                pass_fds=(lock,),
                start_new_session=True,  # a Ctrl-C in the terminal is for us: the broker has to end last
            )
