"""The server.properties of the embedded broker."""

from typing import Final

HOST: Final = "127.0.0.1"

_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log_dir}
auto.create.topics.enable=false

# One node: nothing can be replicated, nobody is worth waiting for.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
# A client's open transaction holds up the commands behind it, at most for so long; by default 15 minutes.
transaction.max.timeout.ms=60000
# After a crash the controller waits for the session of the broker that was, before it lets the new one in.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500

# Small: files, memory, threads.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
log.cleaner.dedupe.buffer.size=16777216
"""


def properties(log_dir: str, port: int, controller_port: int) -> str:
    """Return the server.properties of a single node that listens on loopback only.

    `log_dir` is relative to where the broker runs: Kafka would read commas and letters beyond Latin-1 in another way.
    """
    return _PROPERTIES.format(host=HOST, log_dir=log_dir, port=port, controller_port=controller_port)
