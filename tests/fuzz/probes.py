"""Valid commands to every partition: whether each still moves, and how long it takes."""

import time
import uuid
from typing import Final

from aiokafka.partitioner import murmur2

from tests.fuzz.commands import NAMESPACE, REPLIES, SOURCE, Recipe, make
from tests.fuzz.ledger import Ledger
from tests.fuzz.service import slowness
from tests.fuzz.topics import COMMANDS, PARTITIONS, Follower
from tests.fuzz.wire import Connection, batch

LIMIT_SECONDS: Final = 20.0
_PATIENCE_SECONDS: Final = 60.0


class Probes:
    """Sends them, and waits for their replies, which `replies` reads."""

    def __init__(self, servers: str, replies: Follower, ledger: Ledger) -> None:
        self._connection, self._replies, self._ledger = Connection(servers, 60), replies, ledger
        self._count = 10_000
        self.slowest = dict.fromkeys(range(PARTITIONS), 0.0)
        self.standing: set[int] = set()

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def all_move(self, run: str) -> bool:
        """Whether every partition answers; that one takes longer than it may is a flaw, that it never does ends all."""
        sent = {partition: self._send(run, partition) for partition in range(PARTITIONS)}
        began = time.monotonic()
        while sent and time.monotonic() < began + _PATIENCE_SECONDS * slowness():
            time.sleep(0.05)
            found = self._replies.read()
            self._ledger.replies += found
            ids = {read.headers.get("correlation_id") for read in found}
            for partition, correlation_id in [*sent.items()]:
                if correlation_id in ids:
                    del sent[partition]
                    seconds = time.monotonic() - began
                    self.slowest[partition] = max(self.slowest[partition], round(seconds, 1))
                    if seconds > LIMIT_SECONDS * slowness():
                        self._ledger.blame("partition slow", f"{partition}: {seconds:.1f} s after {run}")
        self.standing = set(sent)
        for partition in sent:
            self._ledger.blame("partition stands still", f"{partition}, after {run}")
        return not sent

    def _send(self, run: str, partition: int) -> bytes:
        while True:  # the executionId decides which partition handles it
            self._count += 1
            execution_id = str(uuid.uuid5(NAMESPACE, f"{SOURCE}\n{run}-{self._count}"))
            if (murmur2(execution_id.encode()) & 0x7FFFFFFF) % PARTITIONS == partition:
                break
        recipe = Recipe("ExecuteTask", self._count, "execution", REPLIES)
        raw = make(recipe, run, self._count, time.time_ns() // 1_000_000)
        offset = self._connection.produce(COMMANDS, partition, batch([raw], "none"))
        self._ledger.add((partition, offset), raw, f"probe of {partition} after {run}")
        return dict(raw.headers)[b"correlation_id"] or b""
