"""What goes wrong, when, and for how long: a seeded deck of faults, dealt one after the other, each in its own time."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from service.embedded.broker import EmbeddedBroker
from tests.chaos.fleet import Fleet

DECK: Final = ("kill", "kill", "freeze", "freeze", "terminate", "visit", "broker", "pause", "projector")
"""One round: every kind, the worst ones twice."""

KINDS: Final = (
    "kill -9", "SIGSTOP", "SIGTERM", "join and leave", "broker kill -9", "broker SIGSTOP", "projector kill -9"
)  # fmt: skip
"""What `Faults.log` calls them."""

BROKER_KINDS: Final = ("broker kill -9", "broker SIGSTOP")

_ROUND_SECONDS: Final = 40
_PAUSE_SECONDS: Final = 3.6
"""Longer than a reply may take."""
_PROJECTOR_KILLS: Final = 3
_COMMIT_SECONDS: Final = 6.0
_LOOK_SECONDS: Final = 0.005
_REBALANCE_SECONDS: Final = 12.0
_ASSIGNED: Final = b"partitions_assigned"
_SETTLE_SECONDS: Final = 10.0
"""Nothing goes wrong in the last part of a run, so that the last fault has its effect under load."""


@dataclass
class Faults:
    """Injects faults until `seconds` have passed. `log` holds what and when, in epoch seconds.

    `burst` makes work, so that a fault meets full queues and transactions that are under way. `positions` is where
    ClickHouse keeps the projector's position.
    """

    fleet: Fleet
    brokers: Sequence[EmbeddedBroker]
    positions: Path
    random: Random
    burst: Callable[[], None]
    log: list[tuple[str, float]] = field(default_factory=list)
    _broker_busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, seconds: float) -> None:
        """Deal whole decks, evenly in the time; a fault may last while the next ones begin."""
        rounds = max(1, round(seconds / (_ROUND_SECONDS * len(self.brokers))))
        deck = [kind for _ in range(rounds) for kind in self.random.sample(DECK, len(DECK))]
        gap = max(0.0, seconds - _SETTLE_SECONDS) / len(deck)
        end = asyncio.create_task(asyncio.sleep(seconds))
        async with asyncio.TaskGroup() as group:
            for kind in deck:
                early = self.random.uniform(0, gap / 2)
                await asyncio.sleep(early)
                group.create_task(self._inject(kind), name=kind)
                await asyncio.sleep(gap - early)
        await end

    async def _inject(self, kind: str) -> None:
        faults: dict[str, Callable[[], Awaitable[None]]] = {
            "kill": self._kill, "freeze": self._freeze, "terminate": self._terminate,
            "visit": self._visit, "broker": self._crash_brokers, "pause": self._pause_brokers,
            "projector": self._kill_projector,
        }  # fmt: skip
        self.burst()
        await asyncio.sleep(self.random.uniform(0.02, 0.2))
        await faults[kind]()

    def _note(self, kind: str) -> None:
        self.log.append((kind, time.time()))

    async def _kill(self) -> None:
        """A handler dies; it comes back at once or after a while."""
        with self.fleet.victim("handler", self.random) as name:
            if name:
                self._note("kill -9")
                await self.fleet.end(name, signal.SIGKILL)
                await asyncio.sleep(self.random.choice((0, 1, 8)))
                await self.fleet.start(name)

    async def _freeze(self) -> None:
        """A handler stands still for longer than the group waits, then goes on as if nothing had happened.

        Every second time at the worst moment: when others have just been given its partitions.
        """
        with self.fleet.victim("handler", self.random) as name:
            if name:
                self._note("SIGSTOP")
                self.fleet.send(name, signal.SIGSTOP)
                if sum(kind == "SIGSTOP" for kind, _ in self.log) % 2:
                    await asyncio.sleep(self.random.uniform(6.5, 10))
                else:
                    await self._assigned(*{*self.fleet.names("handler")} - {name})
                    await asyncio.sleep(self.random.uniform(0, 0.3))
                self.fleet.send(name, signal.SIGCONT)

    async def _assigned(self, *names: str) -> None:
        """Wait until one of these is given partitions."""
        before = {name: self.fleet.said(_ASSIGNED, name) for name in names}
        with suppress(TimeoutError):
            async with asyncio.timeout(_REBALANCE_SECONDS):
                while all(self.fleet.said(_ASSIGNED, name) == times for name, times in before.items()):
                    await asyncio.sleep(_LOOK_SECONDS)

    async def _terminate(self) -> None:
        with self.fleet.victim("handler", self.random) as name:
            if name:
                self._note("SIGTERM")
                await self.fleet.end(name, signal.SIGTERM)
                await self.fleet.start(name)

    async def _visit(self) -> None:
        """A handler joins and leaves, several times."""
        for _ in range(self.random.randint(2, 3)):
            name = f"handler-guest-{len(self.log)}"
            self._note("join and leave")
            await self.fleet.start(name)
            with self.fleet.reserved(name):
                await self._assigned(name)
                await asyncio.sleep(self.random.uniform(0, 3))
                await self.fleet.end(name, self.random.choice((signal.SIGTERM, signal.SIGTERM, signal.SIGKILL)))

    async def _crash_brokers(self) -> None:
        """One after the other, each when the one before is back: as when they are given a new version."""
        for broker in self.brokers:
            async with self._broker_busy:
                self._note("broker kill -9")
                await broker.kill()
                await asyncio.sleep(self.random.choice((0, 2)))
                await broker.start()

    async def _pause_brokers(self) -> None:
        """As a collection of garbage, a slow disk or a moved machine does."""
        for broker in self.brokers:
            async with self._broker_busy:
                self._note("broker SIGSTOP")
                if (pid := broker.pid) is not None:
                    os.kill(pid, signal.SIGSTOP)
                    await asyncio.sleep(_PAUSE_SECONDS)
                    os.kill(pid, signal.SIGCONT)

    async def _kill_projector(self) -> None:
        """Several times, each at the moment when it has said how far it is."""
        for _ in range(_PROJECTOR_KILLS):
            before = self._parts()
            with suppress(TimeoutError):
                async with asyncio.timeout(_COMMIT_SECONDS):
                    while self._parts() <= before:
                        await asyncio.sleep(_LOOK_SECONDS)
            self._note("projector kill -9")
            await self.fleet.end("projector", signal.SIGKILL)
            await self.fleet.start("projector")

    def _parts(self) -> set[str]:
        """What ClickHouse has of the position; a new name is a new insert."""
        names = {path.name for path in self.positions.iterdir()} if self.positions.exists() else set()
        return {name for name in names if not name.startswith("tmp")}
