"""The command client against a real broker; the service's part is played by a tiny responder (see responder.py)."""

import asyncio
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer import consumer as aiokafka_consumer
from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.errors import KafkaError
from aiokafka.record.memory_records import MemoryRecords
from uuid_utils.compat import uuid7

from service.client import ClientClosedError, CommandClient
from service.contracts import topics
from service.contracts.commands import ExecuteTask, StartTaskExecution
from service.contracts.problems import Code, RejectedError
from service.contracts.replies import CommandReply, CommandUnansweredError, Outcome
from service.domain.identity import command_id
from service.kafka.internals.fetching import BoundedFetcher, bound_fetching
from service.kafka.internals.partition_records import BoundedRecords
from tests.client.responder import Asked, Responder, Responding
from tests.kafka.record_batches import a_batch, a_record


def execute(number: int = 0, **more: object) -> ExecuteTask:
    return ExecuteTask(task_id="a:b", task_version="1.0.0", inputs={"number": number, **more})


def number_of(reply: CommandReply) -> int:
    assert reply.position
    return reply.position.offset


async def ignore(*_: object) -> None:
    """Never answer."""


async def test_a_command_is_sent_to_its_owner_and_its_reply_returned(kafka: str, responding: Responding) -> None:
    async with responding() as responder, CommandClient(kafka, "/tests") as client:
        reply = await client.submit(execute(7), id_=(id_ := str(uuid7())), trace=[("traceparent", b"00-aa-bb-01")])
    assert (reply.outcome, number_of(reply)) == (Outcome.ACCEPTED, 7)
    (record,) = responder.received
    headers = dict(record.headers)
    assert record.key == command_id("/tests", id_).encode() == headers["ce_subject"]
    assert (headers["ce_id"], headers["ce_source"], headers["ce_type"]) == (id_.encode(), b"/tests", b"ExecuteTask")
    assert (headers["reply_to"], headers["traceparent"]) == (b"task-execution.replies", b"00-aa-bb-01")


async def test_a_thousand_concurrent_commands_each_get_their_own_reply(kafka: str, responding: Responding) -> None:
    async def all_in_one(responder: Responder, asked: Asked) -> None:
        waiting.append(asked)
        if len(waiting) == 1_000:
            async with responder.producer.transaction():
                for known in reversed(waiting):
                    await responder.send(known.correlation_id, responder.accepted(known.number))

    waiting: list[Asked] = []
    async with responding(all_in_one), CommandClient(kafka, "/tests") as client:
        replies = await asyncio.gather(*(client.submit(execute(number)) for number in range(1_000)))
    assert [number_of(reply) for reply in replies] == list(range(1_000))


async def test_no_more_than_max_in_flight_are_unanswered_at_once(kafka: str, responding: Responding) -> None:
    async def pair(responder: Responder, asked: Asked) -> None:
        waiting.append(asked.correlation_id)
        most.append(len(waiting))
        if len(waiting) == 2:
            async with responder.producer.transaction():
                while waiting:
                    await responder.send(waiting.pop(), responder.accepted())

    waiting: list[bytes | None] = []
    most: list[int] = []
    async with responding(pair), CommandClient(kafka, "/tests", max_in_flight=2) as client:
        await asyncio.gather(*(client.submit(execute()) for _ in range(10)))
    assert max(most) == 2


async def test_no_reply_in_time_says_what_to_send_again_and_later_ones_arrive(
    kafka: str, responding: Responding
) -> None:
    async def second_only(responder: Responder, asked: Asked) -> None:
        correlation_ids.append(asked.correlation_id)
        if len(correlation_ids) == 2:
            async with responder.producer.transaction():
                await responder.send(correlation_ids[0], responder.accepted(1))  # too late: nobody waits for it
                await responder.send(correlation_ids[1], responder.accepted(2))

    correlation_ids: list[bytes | None] = []
    async with responding(second_only), CommandClient(kafka, "/tests", timeout=0.3) as client:
        with pytest.raises(
            CommandUnansweredError, match=r"within 0\.3 s\. .*send the same command with the same id"
        ) as e:
            await client.submit(execute(), id_="order-1", source="/shop")
        assert (e.value.id, e.value.source) == ("order-1", "/shop")
        assert number_of(await client.submit(execute(), timeout=20)) == 2


async def test_replies_to_others_are_ignored(kafka: str, responding: Responding) -> None:
    async def noise(responder: Responder, asked: Asked) -> None:
        async with responder.producer.transaction():
            for other in (None, b"", b"\xff\xfe", b"somebody-else/1", asked.correlation_id + b"0"):
                await responder.send(other, b"not even JSON")
            await responder.send(asked.correlation_id, responder.accepted(1))
            await responder.send(asked.correlation_id, responder.accepted(2))  # the first one counts

    async with (
        responding(noise),
        CommandClient(kafka, "/one") as one,
        CommandClient(kafka, "/two") as two,
    ):
        replies = await asyncio.gather(one.submit(execute()), two.submit(execute()), one.submit(execute()))
    assert [number_of(reply) for reply in replies] == [1, 1, 1]


async def test_a_reply_from_an_aborted_transaction_is_never_seen(kafka: str, responding: Responding) -> None:
    async def wrong_then_right(responder: Responder, asked: Asked) -> None:
        await responder.producer.begin_transaction()
        await responder.send(asked.correlation_id, responder.accepted(1))
        await responder.producer.abort_transaction()
        await responder.reply(asked.correlation_id, responder.accepted(2))

    async with responding(wrong_then_right), CommandClient(kafka, "/tests") as client:
        assert number_of(await client.submit(execute())) == 2


async def test_a_reply_is_not_seen_before_its_transaction_commits(kafka: str, responding: Responding) -> None:
    async def hesitate(responder: Responder, asked: Asked) -> None:
        async with responder.producer.transaction():
            await responder.send(asked.correlation_id, responder.accepted())
            written.set()
            await commit.wait()

    written, commit = asyncio.Event(), asyncio.Event()
    async with responding(hesitate), CommandClient(kafka, "/tests") as client:
        reply = asyncio.create_task(client.submit(execute()))
        await written.wait()
        done, _ = await asyncio.wait([reply], timeout=0.5)
        assert not done
        commit.set()
        assert (await reply).outcome is Outcome.ACCEPTED


async def test_replies_from_before_the_client_are_not_read(kafka: str, responding: Responding) -> None:
    async with responding(), CommandClient(kafka, "/first") as first:
        await first.submit(execute(1))
        async with CommandClient(kafka, "/second") as second:
            assert number_of(await second.submit(execute(2))) == 2


async def test_a_record_can_be_sent_as_it_stands(kafka: str, responding: Responding) -> None:
    async with responding() as responder, CommandClient(kafka, "/tests") as client:
        reply = await client.submit_raw(b'{"broken', headers=[("ce_type", b"ExecuteTask")], key=b"k")
        assert reply.outcome is Outcome.ACCEPTED
        assert (await client.submit_raw(None, headers=[], key=b"k")).outcome is Outcome.ACCEPTED
    assert [(record.key, record.value) for record in responder.received] == [(b"k", b'{"broken'), (b"k", None)]
    assert responder.received[0].headers[0] == ("ce_type", b"ExecuteTask")


async def test_a_command_can_be_published_without_a_reply(kafka: str, responding: Responding) -> None:
    execution = "0b54e4ae-8f0c-5a4e-9d53-0a54f4c3a1f1"
    async with responding() as responder, CommandClient(kafka, "/tests") as client:
        assert await client.publish(execute(), id_="order-2") == command_id("/tests", "order-2")
        assert await client.publish(StartTaskExecution(execution_id=execution)) == execution
        await client.submit(execute())
        await responder.has_received(3)  # the three may lie in different partitions
    asked = {dict(record.headers).get("ce_id"): "reply_to" in dict(record.headers) for record in responder.received}
    assert asked[b"order-2"] is False
    assert sorted(asked.values()) == [False, False, True]


async def test_a_reply_that_cannot_be_read_leaves_the_outcome_unknown(kafka: str, responding: Responding) -> None:
    async def newer(responder: Responder, asked: Asked) -> None:
        await responder.reply(asked.correlation_id, b'{"outcome":"postponed"}')

    async with responding(newer), CommandClient(kafka, "/tests") as client:
        with pytest.raises(CommandUnansweredError, match="could not be read"):
            await client.submit(execute())


async def test_a_command_too_large_for_the_topic_is_refused_at_once(kafka: str) -> None:
    async with CommandClient(kafka, "/tests") as client:
        with pytest.raises(RejectedError, match="at most 1048576 are allowed") as refused:
            await client.submit(execute(text="x" * 1_200_000))
    assert refused.value.problem.code is Code.PAYLOAD_TOO_LARGE


async def test_closing_ends_what_waits_and_refuses_what_comes_later(kafka: str, responding: Responding) -> None:
    async with responding(ignore) as responder:
        async with CommandClient(kafka, "/tests") as client:
            assert client.closed is None
            pending = asyncio.create_task(client.submit(execute()))
            await responder.has_received(1)
        with pytest.raises(CommandUnansweredError, match="the client was closed"):
            await pending
        for attempt in (client.submit(execute()), client.publish(execute())):
            with pytest.raises(ClientClosedError, match="Open a new one"):
                await attempt


@pytest.mark.parametrize("bounded", [True, False], ids=["in a process of the service", "in a program of others"])
async def test_what_nobody_can_parse_on_the_replies_topic_ends_nothing(
    kafka: str, responding: Responding, monkeypatch: pytest.MonkeyPatch, *, bounded: bool
) -> None:
    """A header name that is not UTF-8: the broker takes it, and aiokafka's parser raises."""
    bound_fetching()
    if not bounded:
        monkeypatch.setattr(aiokafka_consumer, "Fetcher", BoundedFetcher.__base__)
        monkeypatch.setattr(aiokafka_fetcher, "MemoryRecords", MemoryRecords)
        monkeypatch.setattr(aiokafka_fetcher, "PartitionRecords", BoundedRecords.__base__)
        monkeypatch.setattr(aiokafka_fetcher, "FetchResult", aiokafka_fetcher.FetchResult.__base__)
    async with (
        responding(),
        CommandClient(kafka, "/tests") as client,
        AIOKafkaProducer(bootstrap_servers=kafka) as other,
    ):
        assert (await client.submit(execute())).outcome is Outcome.ACCEPTED
        batch = other.create_batch()
        batch.append(timestamp=None, key=None, value=b"stands in for it")
        batch._build = lambda: bytearray(a_batch(a_record(0, headers=[(b"\xff", b"")]), 1, first=0))
        await (await other.send_batch(batch, topics.REPLIES_TOPIC, partition=0))
        async with asyncio.timeout(20):
            while True:
                with suppress(CommandUnansweredError):
                    await client.submit(execute(), timeout=2)
                    break
        assert client.closed is None


async def test_when_replies_can_no_longer_be_read_nothing_hangs(
    kafka: str, responding: Responding, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object, **__: object) -> None:
        await broken.wait()
        raise KafkaError("corrupt record")

    broken = asyncio.Event()
    async with responding(ignore) as responder:
        monkeypatch.setattr(AIOKafkaConsumer, "getmany", failing)
        client = await CommandClient(kafka, "/tests").__aenter__()
        pending = asyncio.create_task(client.submit(execute()))
        await responder.has_received(1)
        broken.set()
        with pytest.raises(CommandUnansweredError, match="corrupt record"):
            await pending
        with pytest.raises(ClientClosedError, match="corrupt record"):
            await client.submit(execute())
        assert client.closed
        await client.__aexit__(None, None, None)


async def test_a_command_that_kafka_did_not_store_is_unanswered(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(*_: object, **__: object) -> asyncio.Future[object]:
        lost: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        lost.set_exception(KafkaError("not enough replicas"))
        return lost

    async with CommandClient(kafka, "/tests") as client:
        monkeypatch.setattr(AIOKafkaProducer, "send", send)
        with pytest.raises(CommandUnansweredError, match="not enough replicas"):
            await client.submit(execute())


async def test_a_broker_that_is_not_there_is_an_error_at_the_start() -> None:
    with pytest.raises(ConnectionError, match=r"Kafka at 127\.0\.0\.1:1 did not answer"):
        await CommandClient("127.0.0.1:1", "/tests", start_timeout=2).__aenter__()


async def test_missing_topics_are_an_error_at_the_start(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "REPLIES_TOPIC", "no-such-topic")
    with pytest.raises(ConnectionError, match=r"has no topics .* no-such-topic"):
        await CommandClient(kafka, "/tests", start_timeout=1).__aenter__()


async def test_a_client_that_is_not_open_sends_nothing(kafka: str) -> None:
    with pytest.raises(ClientClosedError, match="async with CommandClient"):
        await CommandClient(kafka, "/tests").submit(execute())
