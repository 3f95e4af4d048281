from aiokafka import AIOKafkaConsumer
from uuid_utils.compat import uuid7

from service.client import publish_definitions
from service.contracts import topics
from service.contracts.definitions import DefinitionStatus, TaskDefinition, TaskType, Variable, VariableType


async def test_definitions_are_stored_under_their_keys(kafka: str) -> None:
    inputs = (Variable(name="day", type=VariableType.STRING, required=False, default_value="today"),)
    name = f"tests:{uuid7()}"
    written = [
        TaskDefinition(
            task_id=name, version=version, status=DefinitionStatus.PUBLISHED, type=TaskType.SQL, input_variables=inputs
        )
        for version in ("1.0.0", "1.1.0")
    ]
    await publish_definitions(kafka, written, source="/catalogue")
    consumer = AIOKafkaConsumer(topics.DEFINITIONS_TOPIC, bootstrap_servers=kafka, auto_offset_reset="earliest")
    found = []
    async with consumer:
        async for record in consumer:
            if record.key.startswith(name.encode()):
                found.append(record)
            if len(found) == len(written):
                break
    found.sort(key=lambda record: record.key)
    assert [record.key.decode() for record in found] == [item.key for item in written]
    assert [TaskDefinition.model_validate_json(record.value) for record in found] == written
    headers = dict(found[0].headers)
    assert (headers["ce_type"], headers["ce_source"]) == (b"TaskDefinitionPublished", b"/catalogue")
    assert headers["ce_subject"] == found[0].key
