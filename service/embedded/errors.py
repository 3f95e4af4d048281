"""What can go wrong with the embedded parts. The one action: tell the person, whose machine it is."""

from typing import Final

ALTERNATIVES: Final = "or use `docker compose up`, or name a broker of your own in KAFKA_BOOTSTRAP_SERVERS"


class EmbeddedError(Exception):
    """An embedded part cannot run here. The message is one line that says why and what to do."""
