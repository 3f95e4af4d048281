"""Which reply topics can be written.

Only what Kafka says of a topic is held against it: a broker that says nothing is slow, and waited for. It must be asked
before: a transaction that has a partition without a leader cannot be ended by anybody until there is one (Kafka writes
its end there too), so that one client's topic would hold up everybody's commands.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer

from service.kafka.internals.topic_words import words_on

FRESH_SECONDS: Final = 1.0
"""So old may be what Kafka has said of a client's topic."""

PATIENCE_SECONDS: Final = 20.0
"""So long a topic may be without a leader, or have too few replicas: longer than a broker takes to come back."""

_REFUSED_SECONDS: Final = 60.0
_REMEMBERED_SECONDS: Final = 600.0
_now = time.monotonic


class ReplyStalledError(Exception):
    """Replies to this topic cannot be written now, as Kafka says; that may pass. The action: wait, and try again."""

    def __init__(self, topic: str, flaw: str) -> None:
        super().__init__(f"{topic}: {flaw}")


@dataclass
class _Stall:
    """Since when a topic cannot be written, when Kafka said so last, and whether our patience is at its end."""

    since: float
    last: float
    is_over: bool = False


class ReplyTopics:
    """Knows what Kafka says of reply topics; `ours` is the one that we made."""

    def __init__(self, ours: str) -> None:
        self._ours = ours
        self._well: dict[str, float] = {}
        self._refused: dict[str, tuple[float, str]] = {}
        self._stalls: dict[str, _Stall] = {}

    async def flaws(self, topics: Iterable[str], consumer: AIOKafkaConsumer) -> dict[str, str]:
        """Why some of these topics cannot be written, by name.

        Raises:
            ReplyStalledError: one cannot be written now.
            KafkaError: Kafka does not answer.
        """
        stale = {topic for topic in topics if not self._is_fresh(topic)}
        words = await words_on(consumer, stale) if stale else {}
        flaws = {}
        for topic in topics:
            until, reason = self._refused.get(topic, (0.0, ""))
            if (word := words.get(topic)) is not None:
                if word.passes:
                    self._wait(topic, word.flaw)
                flaws[topic] = word.flaw
            elif _now() < until:
                flaws[topic] = reason
        for topic in stale - words.keys():
            self._well[topic] = _now()
            self._stalls.pop(topic, None)
        return flaws

    def _is_fresh(self, topic: str) -> bool:
        at = self._well.get(topic)
        return at is not None and (topic == self._ours or _now() - at < FRESH_SECONDS)

    def _wait(self, topic: str, flaw: str) -> None:
        now = _now()
        stall = self._stalls.get(topic)
        if stall is None or now - stall.last > (_REMEMBERED_SECONDS if stall.is_over else PATIENCE_SECONDS):
            stall = self._stalls[topic] = _Stall(now, now)
        stall.last = now
        stall.is_over = topic != self._ours and now - stall.since >= PATIENCE_SECONDS
        if not stall.is_over:
            raise ReplyStalledError(topic, flaw)

    def refused(self, topic: str, error: Exception) -> None:
        """A reply to this topic was refused by the broker for good: for a minute, none is tried."""
        self._refused[topic] = _now() + _REFUSED_SECONDS, f"the broker refused the last reply ({type(error).__name__})"

    def forget(self) -> None:
        """Ask Kafka again: a topic may have been deleted."""
        self._well = {}
