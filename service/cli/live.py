"""What happens, as it happens: server-sent events of the API, each once, whatever breaks in between."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from service.cli.exits import CommandError, Exit
from service.cli.output import write_note
from service.cli.remote import Remote, path_of
from service.kafka.streamed import SILENCE_SECONDS, StreamPlace

if TYPE_CHECKING:
    from httpx2 import Response

Event = dict[str, Any]
"""`type`, `time`, `executionId`, `status`, `position` and `data`, as the service sends them."""


class Live:
    """The events that fit the parameters. A connection that breaks is made again, from where it was."""

    def __init__(
        self, remote: Remote, parameters: Mapping[str, Any], before: Callable[[str], Iterable[Event]] | None = None
    ) -> None:
        """`before`: all that a stream which begins at this id does not tell; it is asked where nothing was told yet."""
        self._remote, self._parameters, self._before = remote, parameters, before
        self._place = StreamPlace()
        self._seen: dict[str, int] = {}

    def events(self) -> Iterator[Event]:
        """For ever.

        Raises:
            CommandError: the service refuses the question.
        """
        known = away = False
        while True:
            try:
                with self._connected() as response:
                    if known and (away or self._gap):
                        write_note(f"Connected again.{self._gap}")
                    known, away = True, False
                    for event in self._of(response):
                        if self._is_new(event):
                            yield event
            except CommandError as error:
                if error.exit_code is not Exit.UNAVAILABLE:
                    raise
                if not away:
                    write_note(f"{error.lines[0]} Trying again.")
                away = True
            time.sleep(self._place.pause)

    @property
    def _gap(self) -> str:
        nothing_to_go_on_from = self._place.last_event_id is None and self._before is None
        return " No event had come before: what happened in between is not shown." if nothing_to_go_on_from else ""

    def _connected(self) -> "AbstractContextManager[Response]":
        return self._remote.stream(path_of("events"), self._parameters, self._place.headers, SILENCE_SECONDS)

    def _of(self, response: "Response") -> Iterator[Event]:
        from httpx2 import EventSource  # noqa: PLC0415 - loaded by who made the response

        for message in EventSource(response, max_event_size=None):
            if self._before and message.id and self._place.last_event_id is None:
                yield from self._before(message.id)
            if message.data:
                yield json.loads(message.data)
            self._place.take(message)

    def _is_new(self, event: Event) -> bool:
        partition, _, offset = event["position"].partition(":")
        if int(offset) <= self._seen.get(partition, -1):
            return False
        self._seen[partition] = int(offset)
        return True
