"""What happens, as it happens: server-sent events of the API, each once, whatever breaks in between."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from service.cli.exits import CommandError, Exit
from service.cli.output import write_note
from service.cli.remote import Remote, path_of

if TYPE_CHECKING:
    from httpx2 import Response

Event = dict[str, Any]
"""`type`, `time`, `executionId`, `status`, `position` and `data`, as the service sends them."""

_SILENCE: Final = 60.0
"""The service says every few seconds that it is there."""
_LONGEST_PAUSE: Final = 30.0


class Live:
    """The events that fit the parameters. A connection that breaks is made again, from where it was."""

    def __init__(
        self, remote: Remote, parameters: Mapping[str, Any], before: Callable[[datetime], Iterable[Event]] | None = None
    ) -> None:
        """`before`: all until a stream had begun at this time; it is asked where nothing says where we were."""
        self._remote, self._parameters, self._before = remote, parameters, before
        self._resume: str | None = None
        self._pause = 1.0
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
            time.sleep(min(self._pause, _LONGEST_PAUSE))

    @property
    def _gap(self) -> str:
        nothing_to_go_on_from = self._resume is None and self._before is None
        return " No event had come before: what happened in between is not shown." if nothing_to_go_on_from else ""

    @contextmanager
    def _connected(self) -> Iterator["Response"]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._resume} if self._resume else {})
        with self._remote.stream(path_of("events"), self._parameters, headers, _SILENCE) as response:
            yield response

    def _of(self, response: "Response") -> Iterator[Event]:
        from httpx2 import EventSource  # noqa: PLC0415 - loaded by who made the response

        if self._before and not self._resume:
            yield from self._before(_begun(response))
        for message in EventSource(response):
            self._pause = message.retry / 1000 if message.retry is not None else self._pause
            if message.data:
                yield json.loads(message.data)
            self._resume = message.id or self._resume

    def _is_new(self, event: Event) -> bool:
        partition, _, offset = event["position"].partition(":")
        if int(offset) <= self._seen.get(partition, -1):
            return False
        self._seen[partition] = int(offset)
        return True


def _begun(response: "Response") -> datetime:
    """When the service answered, by its clock; no earlier than that."""
    date = response.headers.get("date")
    return (parsedate_to_datetime(date) if date else datetime.now(UTC)) + timedelta(seconds=1)
