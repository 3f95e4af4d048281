"""Prints every execution that fails, at least once, until it is ended."""

import os
from typing import Any

from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from confluent_kafka import Consumer, KafkaException, Message

TOPIC = os.environ.get("TASKEXEC_PREFIX", "") + "task-execution.events"
SETTINGS = {
    "bootstrap.servers": os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
    "group.id": "librdkafka-failures",
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "enable.auto.offset.store": False,  # librdkafka commits what is stored below
}


def handle(message: Message) -> None:
    """Print it, if it is a failure."""
    headers: Any = message.headers()
    event = from_kafka_event(KafkaMessage(dict(headers), None, message.value() or b""))
    if event.get_type() == "TaskExecutionFailed":  # there will be types that are not known yet
        failure: Any = event.get_data()
        print(event.get_id(), event.get_time(), failure["taskId"], failure["errorMessage"], flush=True)


def main() -> None:
    """Consume until the program is ended."""
    consumer = Consumer(SETTINGS)
    consumer.subscribe([TOPIC])
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            handle(message)
            consumer.store_offsets(message)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
