"""Which processes give work to workers, so that each execution is given by one of them first. Pure."""

from hashlib import blake2b
from typing import Final

ID: Final = "claim"
ACTIVE_SECONDS: Final = 30.0
"""A process is reckoned with for so long after its last claim."""


class Peers:
    """This process, and the others that have claimed lately, as their claims' ids tell (they are in the events).

    All have about the same picture, and it need not be the same: it only makes few claims go astray.
    """

    def __init__(self, me: str) -> None:
        self._me = me
        self._seen: dict[str, float] = {}

    def claim_id(self, rest: str) -> str:
        """The id of a claim of ours."""
        return f"{ID}/{self._me}/{rest}"

    def saw(self, causation_id: str, now: float) -> None:
        """An event was caused by the command with this id."""
        match causation_id.split("/", 2):
            case [kind, peer, _] if kind == ID and peer != self._me:
                self._seen[peer] = now

    def look(self, now: float) -> None:
        """Forget those of whom nothing was seen for long."""
        self._seen = {peer: at for peer, at in self._seen.items() if at > now - ACTIVE_SECONDS}

    def is_ours(self, execution_id: str) -> bool:
        """Whether this process is the first to give this execution away (rendezvous hashing)."""
        if not self._seen:
            return True
        ours = _weight(self._me, execution_id)
        return all(ours > _weight(peer, execution_id) for peer in self._seen)


def _weight(peer: str, execution_id: str) -> bytes:
    return blake2b(f"{peer}/{execution_id}".encode(), digest_size=8).digest()
