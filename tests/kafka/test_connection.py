import pytest
from aiokafka import TopicPartition

from service.contracts.topics import COMMANDS_TOPIC, HANDLER_GROUP, REPLY_TOPIC, TOPICS
from service.kafka.connection import Kafka


def test_without_a_prefix_kafka_has_our_names() -> None:
    kafka = Kafka("kafka:9092")
    assert kafka == Kafka.at("kafka:9092") == Kafka.at(kafka)
    assert [kafka.topic(topic.name) for topic in TOPICS] == [topic.name for topic in TOPICS]
    assert (kafka.group, kafka.transactional_id(3)) == (HANDLER_GROUP, f"{HANDLER_GROUP}.3")


def test_a_prefix_stands_before_every_name() -> None:
    kafka = Kafka("kafka:9092", "eu-1.")
    assert kafka.partition(COMMANDS_TOPIC, 3) == TopicPartition("eu-1.task-execution.commands", 3)
    assert kafka.our_name("eu-1.task-execution.commands") == COMMANDS_TOPIC
    assert (kafka.group, kafka.transactional_id(3)) == (
        "eu-1.task-execution.handlers", "eu-1.task-execution.handlers.3",
    )  # fmt: skip


@pytest.mark.parametrize("prefix", ["eu 1", "eu/", "é", "\n", "x" * 65])
def test_a_prefix_makes_names_that_kafka_takes(prefix: str) -> None:
    with pytest.raises(ValueError, match="letters, digits, dots"):
        Kafka("kafka:9092", prefix)


def test_no_topic_of_ours_is_a_reply_topic_of_another_installation() -> None:
    """Its clients could have their replies written there."""
    prefix = "task-execution.replies."
    assert REPLY_TOPIC.fullmatch(prefix + COMMANDS_TOPIC)
    for each in (prefix, f"eu-1.{prefix}", f"{prefix}eu-1."):
        with pytest.raises(ValueError, match="without 'task-execution"):
            Kafka("kafka:9092", each)
