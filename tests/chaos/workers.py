"""Whether workers that were silent were given up, and no others."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tests.chaos.drafts import SERVICE_SOURCE
from tests.chaos.life import Life, body_of, cause_of, time_of

_LOST: Final = "worker lost: "
_UNHEARD_SECONDS: Final = 1.0
"""What was sent so shortly before need not have been heard."""

_OUTAGE_SECONDS: Final = 8.0
"""So long after a broker was killed or frozen, it may be that nothing reaches it."""

_CLOCKS: Final = 0.002


def late_workers(lives: Mapping[str, Life], outages: Sequence[float]) -> Iterator[tuple[str, str]]:
    """What is wrong with the leases: what, and where."""
    for id_, life in lives.items():
        if not life.events or life.lease is None:
            continue
        lease = float(life.lease.removeprefix("PT").removesuffix("S"))
        last = body_of(life.events[-1])
        if last["status"] == "RUNNING":
            yield "a silent worker is not lost", id_
        if last["status"] != "FAILURE" or cause_of(life.events[-1])[0] != SERVICE_SOURCE:
            continue
        if not last["errorMessage"].startswith(_LOST):
            yield "failed for no reason", f"{id_}: {last['errorMessage']}"
        end = time_of(last["completedAt"])
        heard = [time_of(last["startedAt"]), *(beat.at for beat in life.beats if beat.at < end)]
        in_time = heard[:1]
        for at in heard[1:]:
            if at < in_time[-1] + lease and at < end - _UNHEARD_SECONDS:
                in_time.append(at)
        if end < in_time[-1] + lease - _CLOCKS and not any(0 < end - at < lease + _OUTAGE_SECONDS for at in outages):
            silent = end - in_time[-1]
            yield "a worker is lost that was heard of", f"{id_}: {silent:.3f} s before the end of a lease of {lease} s"
