"""Where a page follows the events from: what is shown and what is told then meet without a gap."""

from collections.abc import Iterable
from urllib.parse import urlencode

from service.api.ports import Queries
from service.contracts.problems import RejectedError
from service.contracts.replies import Position
from service.live.places import write_id


async def place_of(queries: Queries, min_position: str | None = None) -> str | None:
    """Where the stream goes on after what is asked for next, with this `min_position`, as an `id` of the stream.

    None: from now on.
    """
    try:
        offsets = await queries.next_offsets()
    except RejectedError:
        return None
    if offsets is None:
        return None
    places = dict(enumerate(offsets))
    if min_position is not None:
        until = Position.parse(min_position)
        places[until.partition] = max(places.get(until.partition, 0), until.offset + 1)
    return write_id([*places.values()]).decode()


def stream_from(place: str | None, filters: Iterable[tuple[str, str]]) -> str:
    """The query of the stream of events that fit, from this place on."""
    return urlencode([*filters, *([("lastEventId", place)] if place else [])])
