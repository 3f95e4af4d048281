"""Three brokers that are one Kafka: each partition on all of them, writable while two are there."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from service.embedded.broker import EmbeddedBroker
from service.embedded.config import HOST
from service.embedded.ports import free_port

_NODES: Final = (1, 2, 3)
_PROPERTIES: Final = """
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
"""
"""Beside the embedded broker's own: of two lines for one property, the last counts."""


class Node(EmbeddedBroker):
    """One of the brokers, as the embedded mode runs it; a controller too. It starts only if a second one does."""

    def __init__(self, directory: Path, number: int, controllers: dict[int, int], cluster_id: str) -> None:
        (directory / f"node-{number}").mkdir()
        super().__init__(directory / f"node-{number}", 0)
        self.number, self._controllers, self._cluster_id = number, controllers, cluster_id

    def _configure(self, log_dir: Path) -> str:
        name = super()._configure(log_dir)
        voters = ",".join(f"{number}@{HOST}:{port}" for number, port in self._controllers.items())
        with (self.data_dir / name).open("a") as config:
            config.write(_PROPERTIES.format(
                number=self.number, voters=voters, host=HOST, port=self.port,
                controller_port=self._controllers[self.number],
            ))  # fmt: skip
        return name


@asynccontextmanager
async def a_cluster(directory: Path) -> AsyncIterator[list[Node]]:
    """Three brokers that run; they are stopped at the end."""
    cluster_id = secrets.token_urlsafe(16)
    controllers = {number: free_port(HOST) for number in _NODES}
    nodes = [Node(directory, number, controllers, cluster_id) for number in _NODES]
    try:
        await asyncio.gather(*(node.start() for node in nodes))
        yield nodes
    finally:
        await asyncio.gather(*(node.kill() for node in nodes))


def servers(nodes: list[Node]) -> str:
    """What clients connect to."""
    return ",".join(node.bootstrap_servers for node in nodes)
