"""Which reply topics can be written. A topic that does not exist would stall a transaction for ever."""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer

_RETRY_SECONDS: Final = 2.0
_BROKEN_SECONDS: Final = 60.0
_STALLED_SECONDS: Final = 2 * _BROKEN_SECONDS


class ReplyTopics:
    """Knows the topics of the cluster, and those that failed; `ours` is the one that we made."""

    def __init__(self, ours: str) -> None:
        self._ours = ours
        self._existing: frozenset[str] = frozenset()
        self._broken: dict[str, tuple[float, str]] = {}
        self._stalled: dict[str, float] = {}
        self._asked, self._stale = float("-inf"), False

    def knows(self, name: str) -> bool:
        """Whether `flaw` can speak of it without asking the cluster."""
        return name in self._existing and not self._stale

    async def learn(self, consumer: AIOKafkaConsumer) -> None:
        """Ask the cluster which topics there are, at most every two seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._asked < _RETRY_SECONDS:
            return
        self._existing = frozenset(await consumer.topics())
        self._asked, self._stale = now, False

    def flaw(self, name: str) -> str | None:
        """Why the topic cannot be written, or None."""
        if name not in self._existing:
            return "the topic does not exist"
        until, reason = self._broken.get(name, (0.0, ""))
        return reason if asyncio.get_running_loop().time() < until else None

    def failed(self, name: str, error: Exception) -> None:
        """A reply to this topic was refused by the broker for good: for a minute, none is tried.

        A TimeoutError counts from the second on, and never for our own topic: it may be the broker's fault.
        """
        now = asyncio.get_running_loop().time()
        if isinstance(error, TimeoutError):
            last, self._stalled[name] = self._stalled.get(name, float("-inf")), now
            if name == self._ours or now - last > _STALLED_SECONDS:
                return
        self._broken[name] = now + _BROKEN_SECONDS, f"the broker refused the last reply ({type(error).__name__})"

    def forget(self) -> None:
        """Ask the cluster again: a topic may have been deleted.

        What was known counts until then: another partition may be in the middle of a batch.
        """
        self._asked, self._stale = float("-inf"), True
