"""Publishes the command ExecuteTask as a CloudEvent. Arguments: an id, the task, its version, inputs as name=text."""

import os
import sys

from cloudevents.core.bindings.kafka import to_binary_event
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka import KafkaError, Message, Producer

TOPIC = os.environ.get("TASKEXEC_PREFIX", "") + "task-execution.commands"


def stored(error: KafkaError | None, message: Message) -> None:
    """Called when Kafka has answered."""
    if error:
        sys.exit(f"not stored: {error}. Send the same command again, with the same id.")
    print(f"stored at {message.topic()}/{message.partition()}/{message.offset()}")


def main(id_: str, task: str, version: str, *inputs: str) -> None:
    """Send it, and wait until Kafka has stored it."""
    event = CloudEvent(
        {
            "id": id_,  # with the source, the identity of the command: sent again, nothing is done twice
            "source": "/billing",
            "type": "ExecuteTask",
            "datacontenttype": "application/json",
        },
        {"taskId": task, "taskVersion": version, "inputs": dict(item.split("=", 1) for item in inputs)},
    )
    message = to_binary_event(event)
    producer = Producer({"bootstrap.servers": os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")})
    producer.produce(TOPIC, message.value, headers=list(message.headers.items()), on_delivery=stored)
    producer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
