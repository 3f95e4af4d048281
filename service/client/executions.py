"""The client of the service, for other services and for notebooks."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, Literal, Self, TypedDict, Unpack, cast
from urllib.parse import quote

from uuid_utils.compat import uuid7

from service.client.api import read
from service.client.asking import ListQuery, PageQuery, StatsQuery, parameters_of
from service.client.building import checked, fields_again
from service.client.errors import NotFinishedError, ServiceUnavailableError
from service.client.over_http import EXECUTIONS, STATS, HttpTransport
from service.client.over_kafka import KafkaTransport
from service.client.results import Execution, Page, Stats
from service.client.retrying import persistently
from service.client.tracing import trace_headers
from service.client.transport import Events, Known, Parameters, Transport
from service.contracts.commands import (
    Command,
    ExecuteTask,
    FailTaskExecution,
    HeartbeatTaskExecution,
    SkipCause,
    SkipTaskExecution,
    StartTaskExecution,
    StopTaskExecution,
    SucceedTaskExecution,
)
from service.contracts.replies import CommandUnansweredError, Outcome
from service.contracts.topics import reply_topic
from service.kafka.connection import Kafka
from service.ports.read_model import Grouping
from service.queries.answers import RecordedEvent
from service.queries.payloads import execution_of

TIMEOUT: Final = 30.0
_REMEMBERED: Final = 10_000
_PAGE_SIZE: Final = 100


class Options(TypedDict, total=False):
    """How a command is sent.

    `idempotency_key`: its id, a new one if not given; the same command with the same key is carried out once.
    `timeout`: seconds for all attempts, the client's if not given. `trace`: its W3C trace headers; if not given, those
    of OpenTelemetry's current context.
    """

    idempotency_key: str | None
    timeout: float | None
    trace: Mapping[str, str] | None


class TaskExecutions:
    """Runs tasks, and tells of their executions: `async with TaskExecutions.over_http(…) as client`.

    A command that is not answered is sent again, always with the same id, so that it is carried out once. `get` and
    `watch` show what this client has done; the others what the read side has by now, or pass a `min_position`.

    Raises, in every call:
        CommandUnansweredError: a command has no answer in time. Send it again with its `id` as `idempotency_key`.
        RejectedError: what was asked is refused; its subclasses in `service.client.errors` say what to do.
    """

    def __init__(self, transport: Transport, *, timeout: float = TIMEOUT) -> None:
        self._transport, self._timeout = transport, timeout
        self._known: OrderedDict[str, Known] = OrderedDict()

    @classmethod
    def over_http(cls, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT) -> Self:
        """Everything over the API at this address. `headers` go with every request.

        Raises:
            ValueError: it is no address.
        """
        return cls(HttpTransport(url, headers), timeout=timeout)

    @classmethod
    def over_kafka(
        cls,
        kafka: Kafka | str,
        source: str,
        *,
        url: str | None = None,
        own_replies: bool = True,
        timeout: float = TIMEOUT,
    ) -> Self:
        """Commands and events over Kafka; queries go to the API at `url`, and without it cannot be asked.

        `source` names this program: with a command's id it is the command's identity, and its own reply topic is named
        after it. Without `own_replies`, or where it may not make one, replies come over the service's.
        On entering, ConnectionError is raised if Kafka does not answer or refuses us, or has not the service's topics.

        Raises:
            ValueError: `url` is no address.
        """
        name = re.sub("[^A-Za-z0-9._-]+", "-", source).strip("-")[:100] or "client"
        api = HttpTransport(url) if url else None
        transport = KafkaTransport(Kafka.at(kafka), source, reply_topic(name) if own_replies else None, api)
        return cls(transport, timeout=timeout)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._transport.__aexit__(*error)

    async def execute(  # noqa: PLR0913 - as many as the command has
        self,
        /,
        task_id: str,
        version: str,
        inputs: Mapping[str, Any],
        *,
        tags: Iterable[str] = (),
        created_by: str | None = None,
        wait: Literal["created", "finished"] = "created",
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - its expiry has errors of its own
        trace: Mapping[str, str] | None = None,
        **more: Any,  # noqa: ANN401 - checked by the command
    ) -> Execution:
        """Run a version of a task; `more` are further fields of ExecuteTask, and the rest is as of `Options`.

        With `wait="finished"`, the answer comes when the execution has ended, however: see its `status`.

        Raises:
            NotFinishedError: it was created, and has not ended in time; it goes on.
            ValueError: inputs hold what cannot be written as JSON.
        """
        fields = {"task_id": task_id, "task_version": version, "inputs": dict(inputs), "tags": tuple(tags)}
        command = checked(ExecuteTask, {**fields, "created_by": created_by, **more})
        id_, timeout = idempotency_key or str(uuid7()), self._timeout if timeout is None else timeout
        if wait == "created":
            return await self._submit(command, id_, trace, timeout)
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        async with self._transport.events_to_come(id_) as to_come:
            made = await self._submit(command, id_, trace, deadline - clock())
            events = to_come(made.id, self._known[made.id], made.duplicate)
            try:
                async with asyncio.timeout_at(deadline):
                    return await _ended(made, events)
            except TimeoutError:
                raise NotFinishedError(made, timeout) from None

    async def rerun(
        self,
        /,
        execution_id: str,
        inputs: Mapping[str, Any] | None = None,
        **more: Any,  # noqa: ANN401 - as of execute
    ) -> Execution:
        """Run the same version again, as a new execution with the same tags; `inputs` replace single ones of the old.

        With the same inputs, it is another attempt at the same (`retryOf`, `attempt`). `more` is as of `execute`.
        Values of sensitive variables are sealed, and must be given again.

        Raises:
            InvalidRequestError: of the old inputs, some are sealed, or all are kept no longer.
        """
        old = await self.get(execution_id)
        fields = fields_again(old, inputs or {}) | more
        return await self.execute(fields.pop("task_id"), fields.pop("task_version"), **fields)

    async def start(
        self,
        execution_id: str,
        *,
        owner: str | None = None,
        lease: timedelta | str | None = None,
        spark_application_id: str | None = None,
        **options: Unpack[Options],
    ) -> Execution:
        """Say that it began to run; with an `owner`, claim it, who may be silent for the `lease`."""
        fields = {"execution_id": execution_id, "owner": owner, "lease": lease}
        command = checked(StartTaskExecution, {**fields, "spark_application_id": spark_application_id})
        return await self._send(command, options)

    async def heartbeat(
        self,
        execution_id: str,
        owner: str,
        *,
        progress: float | None = None,
        message: str | None = None,
        **options: Unpack[Options],
    ) -> Execution:
        """Say that its owner lives, and how much is done, from 0 to 1."""
        fields = {"execution_id": execution_id, "owner": owner, "progress": progress, "message": message}
        return await self._send(checked(HeartbeatTaskExecution, fields), options)

    async def succeed(
        self, execution_id: str, outputs: Mapping[str, Any], *, owner: str | None = None, **options: Unpack[Options]
    ) -> Execution:
        """Say that it ended well, with these outputs."""
        fields = {"execution_id": execution_id, "outputs": dict(outputs), "owner": owner}
        return await self._send(checked(SucceedTaskExecution, fields), options)

    async def fail(
        self, execution_id: str, error_message: str, *, owner: str | None = None, **options: Unpack[Options]
    ) -> Execution:
        """Say that it ended badly, and why."""
        fields = {"execution_id": execution_id, "error_message": error_message, "owner": owner}
        return await self._send(checked(FailTaskExecution, fields), options)

    async def stop(
        self,
        execution_id: str,
        reason: str | None = None,
        *,
        requested_by: str | None = None,
        **options: Unpack[Options],
    ) -> Execution:
        """End it early."""
        fields = {"execution_id": execution_id, "reason": reason, "requested_by": requested_by}
        return await self._send(checked(StopTaskExecution, fields), options)

    async def skip(
        self, execution_id: str, reason: SkipCause | str, node: str, **options: Unpack[Options]
    ) -> Execution:
        """Say that it will never run, and which node is the cause."""
        fields = {"execution_id": execution_id, "reason": reason, "node": node}
        return await self._send(checked(SkipTaskExecution, fields), options)

    async def get(self, execution_id: str) -> Execution:
        """The whole record, with all that this client has done to it."""
        known = self._known.get(execution_id)
        parameters = {"minPosition": str(known.position)} if known else {}
        return read(Execution, await self._ask(f"{EXECUTIONS}/{quote(execution_id, safe='')}", parameters))

    async def stats(self, **query: Unpack[StatsQuery]) -> Stats:
        """Counts by status, of the executions that fit, and of groups of them."""
        stats = read(Stats, await self._ask(STATS, parameters_of(query)))
        by = query.get("group_by")
        return stats.model_copy(update={"grouped_by": by and Grouping(by)})

    async def page(self, **query: Unpack[PageQuery]) -> Page:
        """A page of the executions that fit, newest first; the next one is that with its `next_cursor` as `cursor`."""
        return read(Page, await self._ask(EXECUTIONS, parameters_of(query)))

    async def watch(self, execution_id: str) -> AsyncGenerator[RecordedEvent, None]:
        """Every event of the execution, those that have been first, until it has ended."""
        async with aclosing(_in_order(self._transport.events(execution_id, self._known.get(execution_id)))) as events:
            async for event in events:
                yield event

    async def list(self, **query: Unpack[ListQuery]) -> AsyncGenerator[Execution, None]:
        """All executions that fit, newest first, a page at a time."""
        asked = cast("PageQuery", {"page_size": _PAGE_SIZE, **query})
        while True:
            page = await self.page(**asked)
            for execution in page.items:
                yield execution
            if page.next_cursor is None:
                return
            asked["cursor"] = page.next_cursor

    async def _ask(self, path: str, parameters: Parameters) -> bytes:
        return await persistently(lambda seconds: self._transport.ask(path, parameters, seconds), self._timeout)

    async def _send(self, command: Command, options: Options) -> Execution:
        id_, timeout = options.get("idempotency_key"), options.get("timeout")
        timeout = self._timeout if timeout is None else timeout
        return await self._submit(command, id_ or str(uuid7()), options.get("trace"), timeout)

    async def _submit(
        self,
        command: Command,
        id_: str,
        trace: Mapping[str, str] | None,
        timeout: float,  # noqa: ASYNC109 - of all attempts
    ) -> Execution:
        headers = trace_headers(trace)
        try:
            reply = await persistently(lambda seconds: self._transport.submit(command, id_, headers, seconds), timeout)
        except ServiceUnavailableError as error:
            if error.problem.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            raise CommandUnansweredError(error.problem.detail.removesuffix("."), id_=id_) from error
        told = reply.task_execution
        if told is None or reply.position is None:
            raise ValueError(f"the reply holds neither a problem nor an execution with its position: {reply!r}")
        self._known[told.id] = Known(reply.position, told.metadata.created_at)
        self._known.move_to_end(told.id)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return Execution(**dict(told), position=reply.position, duplicate=reply.outcome is Outcome.DUPLICATE)


async def _in_order(events: Events) -> Events:
    """Each event once, up to the final one."""
    seen = 0
    async with aclosing(events):
        async for event in events:
            if event.data["sequence"] == seen + 1:
                seen += 1
                yield event
                if event.status.is_final:
                    return


async def _ended(made: Execution, events: Events) -> Execution:
    told: dict[str, Any] = {}
    position = made.position
    async with aclosing(_in_order(events)) as ordered:
        async for event in ordered:
            told |= event.data
            position = event.position
    return Execution(**dict(execution_of(made.id, told)), position=position, duplicate=made.duplicate)
