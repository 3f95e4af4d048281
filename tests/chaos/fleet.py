"""The service's processes as they ship, which faults stop and start."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final

from service.embedded import die_with_parent

_STOP_SECONDS: Final = 25
_NOISE: Final = ("Traceback", "never retrieved", "destroyed but", "Exception in callback")
_LINES, _CHARACTERS = 200, 20_000
"""So much is kept of each."""
_PARENT: Final = [sys.executable, die_with_parent.__file__]


class Fleet:
    """Processes by name; `handler-a`, `handler-b` and so on are what faults choose from.

    All have `environment`, and projectors have `projector` too; those in `keeping` have a directory for their state.
    The `service` package is the one in `source`. One that ends by itself is started again, as a supervisor would do,
    and counted in `ended_by_itself`.
    """

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        projector: Mapping[str, str],
        keeping: Collection[str] = (),
        source: Path | None = None,
    ) -> None:
        self._keeping, self._source = keeping, source
        self.ended_by_itself: Counter[str] = Counter()
        self.hung: list[str] = []
        self._directory, common = directory, {**os.environ, **environment}
        self._environments = {"handler": common, "projector": {**common, **projector}}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._busy: set[str] = set()

    async def start(self, name: str) -> None:
        """Start `python -m service ROLE`, the name being `ROLE` or `ROLE-something`."""
        role = name.partition("-")[0]
        environment = self._environments[role]
        if name in self._keeping:
            environment = {**environment, "TASKEXEC_STATE_DIR": str(self._directory / f"state-{name}")}
        with (self._directory / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *_PARENT, str(os.getpid()), sys.executable, "-m", "service", role,
                env=environment, cwd=self._source, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._processes[name] = process
        self._watches[name] = asyncio.create_task(self._watch(name, process))

    async def _watch(self, name: str, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        self.ended_by_itself[name] += 1
        await self.start(name)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send it a signal that does not end it."""
        self._processes[name].send_signal(number)

    def said(self, what: bytes, name: str) -> int:
        """How often this process has logged this."""
        log = self._directory / f"{name}.log"
        return log.read_bytes().count(what) if log.exists() else 0

    def names(self, role: str) -> list[str]:
        """The processes of this role."""
        return [name for name in self._processes if name.partition("-")[0] == role]

    def noise(self) -> list[str]:
        """What was logged that no one can make anything of, and the lines after it."""
        return [
            "\n".join((f"{log.name}:", *lines[number : number + _LINES]))[:_CHARACTERS]
            for log in sorted(self._directory.glob("*-*.log")) + sorted(self._directory.glob("projector.log"))
            for lines in [log.read_text(errors="replace").splitlines()]
            for number, line in enumerate(lines)
            if any(sign in line for sign in _NOISE)
        ]

    async def end(self, name: str, number: signal.Signals) -> None:
        """End it and wait. SIGTERM becomes SIGKILL after a deadline, and is noted in `hung`."""
        self._watches.pop(name).cancel()
        process = self._processes.pop(name)
        if process.returncode is not None:
            return
        process.send_signal(number)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            self.hung.append(name)
            process.kill()
            await process.wait()

    async def end_all(self, role: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End all processes of the role at once."""
        names = [name for name in self._processes if name.partition("-")[0] == role]
        await asyncio.gather(*(self.end(name, number) for name in names))

    def kill_all(self) -> None:
        """End whatever is left, at once."""
        for watch in self._watches.values():
            watch.cancel()
        for process in self._processes.values():
            if process.returncode is None:
                process.kill()

    @contextmanager
    def reserved(self, name: str) -> Iterator[None]:
        """Keep other faults away from this one."""
        self._busy.add(name)
        try:
            yield
        finally:
            self._busy.discard(name)

    @contextmanager
    def victim(self, role: str, random: Random) -> Iterator[str | None]:
        """A process that no other fault has in hand, for as long as the context is open; None if there is none."""
        free = sorted(name for name in self._processes if name.partition("-")[0] == role and name not in self._busy)
        if not free:
            yield None
            return
        name = random.choice(free)
        with self.reserved(name):
            yield name
