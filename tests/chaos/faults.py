"""What goes wrong, when, and for how long: a seeded deck of faults, dealt one after the other, each in its own time."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from service.embedded.broker import EmbeddedBroker
from tests.chaos.fleet import Fleet

DECK: Final = ("kill", "kill", "freeze", "freeze", "terminate", "visit", "broker", "projector")
"""One round: every kind, the worst ones twice."""

KINDS: Final = ("kill -9", "SIGSTOP", "SIGTERM", "join and leave", "broker kill -9", "projector kill -9")
"""What `Faults.log` calls them."""

_ROUND_SECONDS: Final = 40
_SETTLE_SECONDS: Final = 10.0
"""Nothing goes wrong in the last part of a run, so that the last fault has its effect under load."""


@dataclass
class Faults:
    """Injects faults until `seconds` have passed. `log` holds what and when, in epoch seconds.

    `burst` makes work, so that a fault meets full queues and transactions that are under way.
    """

    fleet: Fleet
    broker: EmbeddedBroker
    random: Random
    burst: Callable[[], None]
    log: list[tuple[str, float]] = field(default_factory=list)

    async def run(self, seconds: float) -> None:
        """Deal whole decks, evenly in the time; a fault may last while the next ones begin."""
        rounds = max(1, round(seconds / _ROUND_SECONDS))
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
            "visit": self._visit, "broker": self._crash_broker, "projector": self._kill_projector,
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
        """A handler stands still for longer than the group waits, then goes on as if nothing had happened."""
        with self.fleet.victim("handler", self.random) as name:
            if name:
                self._note("SIGSTOP")
                self.fleet.send(name, signal.SIGSTOP)
                await asyncio.sleep(self.random.uniform(6.5, 10))
                self.fleet.send(name, signal.SIGCONT)

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
                await asyncio.sleep(self.random.uniform(1.5, 4))
                await self.fleet.end(name, self.random.choice((signal.SIGTERM, signal.SIGTERM, signal.SIGKILL)))

    async def _crash_broker(self) -> None:
        self._note("broker kill -9")
        await self.broker.kill()
        await asyncio.sleep(self.random.choice((0, 2)))
        await self.broker.start()

    async def _kill_projector(self) -> None:
        self._note("projector kill -9")
        await self.fleet.end("projector", signal.SIGKILL)
        await self.fleet.start("projector")
