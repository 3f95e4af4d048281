"""What `/readyz` says of each part of the service."""

from typing import Final, NamedTuple


class Readiness(NamedTuple):
    """Whether a part does its work now; `detail` says what it has open, or what it waits for."""

    ready: bool
    detail: str


STARTING: Final = Readiness(ready=False, detail="starting")
