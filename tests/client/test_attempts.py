"""What the client sends again, as the broker gets it; the service's part is played by a tiny responder."""

import json

import pytest
from uuid_utils.compat import uuid7

from service.client import TaskExecutions, retrying
from service.contracts.executions import Metadata, TaskExecution
from service.contracts.replies import CommandReply, Outcome, Position
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp
from tests.client.responder import Asked, Responder, Responding


async def test_every_attempt_is_the_same_command(
    kafka: str, responding: Responding, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def from_the_third_on(responder: Responder, asked: Asked) -> None:
        attempts.append(asked.correlation_id)
        monkeypatch.setattr(retrying, "PATIENCE_SECONDS", 0.3 if len(attempts) < 2 else 15.0)
        if len(attempts) >= 3:
            await responder.reply(asked.correlation_id, reply.model_dump_json(exclude_none=True).encode())

    attempts: list[bytes] = []
    metadata = Metadata(created_at=Timestamp.from_epoch_ms(0), created_by="ana")
    made = TaskExecution(id=str(uuid7()), task_id="a:b", task_version="1.0.0", status=Status.PENDING, metadata=metadata)
    reply = CommandReply(outcome=Outcome.ACCEPTED, task_execution=made, position=Position(partition=0, offset=1))
    monkeypatch.setattr(retrying, "PATIENCE_SECONDS", 0.3)
    client = TaskExecutions.over_kafka(kafka, "/billing", own_replies=False)
    async with responding(from_the_third_on) as responder, client:
        answer = await client.execute(
            "a:b", "1.0.0", {"number": 7}, idempotency_key="monday", trace={"traceparent": "00"}
        )
        await responder.has_received(3)
    assert answer.id == made.id
    assert len(set(attempts)) == len(attempts) >= 3
    sent = {
        (
            record.key,
            record.value,
            tuple(item for item in record.headers if item[0] not in {"ce_time", "correlation_id"}),
        )
        for record in responder.received
    }
    assert len(sent) == 1
    ((_, value, headers),) = sent
    assert json.loads(value or b"")["inputs"] == {"number": 7}
    assert {("ce_id", b"monday"), ("ce_source", b"/billing"), ("traceparent", b"00")} <= {*headers}
