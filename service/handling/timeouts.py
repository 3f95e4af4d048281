"""How long the write side waits, in seconds: the values that held under chaos (docs/adr, a producer per partition)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Each is shorter than the one that would turn its overrun into damage."""

    session: float = 6
    """Without a heartbeat for this long, the group gives the partitions to somebody else."""
    heartbeat: float = 1.5
    max_poll_interval: float = 60
    rebalance: float = 10
    transaction: float = 8
    """Our own deadline for one transaction; less than `request`."""
    reply: float = 3
    """A client's reply topic may hold its transaction up for this long; less than `transaction`."""
    request: float = 10
    """The producer's deadline for one request; less than `transaction_broker`."""
    transaction_broker: float = 20
    """The coordinator aborts a transaction that is open for longer."""
    opening: float = 30
    """An opening that makes no progress for so long begins again."""
    revoke: float = 3
    """A transaction in flight may take this long to end when the partition is revoked."""
    stop: float = 3
    """producer.stop() waits for unsendable batches for ever; we don't."""
    max_pause: float = 3
    """Before a partition is opened again after an error; the first pause is shorter, each one doubles."""
    retry_backoff: float = 0.02
