"""Where a page follows the events from: what is shown and what is told then meet without a gap."""

from collections.abc import Iterable
from urllib.parse import urlencode

from service.api.ports import Queries
from service.contracts.problems import RejectedError
from service.live.places import write_id


async def place_of(queries: Queries) -> str | None:
    """Where the stream goes on after what is asked for next, as an `id` of it; None: from now on."""
    try:
        offsets = await queries.next_offsets()
    except RejectedError:
        return None
    return None if offsets is None else write_id(offsets).decode()


def stream_from(place: str | None, filters: Iterable[tuple[str, str]]) -> str:
    """The query of the stream of events that fit, from this place on."""
    return urlencode([*filters, *([("lastEventId", place)] if place else [])])
