"""Bugs on purpose: each is planted in a copy of the service, whose chaos run must find it.

A run that finds nothing says something only if it would find what is there. Most of these were left out of the protocol
once, to see what they prevent (docs/adr/0002).
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import service

_SOURCE: Final = Path(service.__file__).parent


@dataclass(frozen=True)
class Bug:
    """In `file`, `old` becomes `new`; `told` is how the checker must call what comes of it, one of these."""

    name: str
    file: str
    old: str
    new: str
    told: tuple[str, ...]

    def plant(self, directory: Path) -> None:
        """Make a copy of the service, with this bug, in the directory."""
        shutil.copytree(_SOURCE, directory / "service", ignore=shutil.ignore_patterns("__pycache__"))
        file = directory / "service" / self.file
        file.write_text(self.changed(file.read_text()))

    def changed(self, text: str) -> str:
        """The file's text with the bug in it.

        Raises:
            ValueError: the place is not there, or not once: the code has changed, and this must too.
        """
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.file} has {text.count(self.old)} times:\n{self.old}")
        return text.replace(self.old, self.new)


_PLAIN_REPLIES: Final = """\
    _plain = commit.__dict__
    servers = producer.client._bootstrap_servers
    if servers not in _plain:
        from aiokafka import AIOKafkaProducer as Plain
        _plain[servers] = Plain(bootstrap_servers=servers)
        await _plain[servers].start()
    producer = _plain[servers]
    sends = ["""

BUGS: Final = (
    Bug(
        "a position is written before its rows",
        "projection/projector.py",
        """\
                await self._insert(batch)
                await self._commit(consumer, live, batch)
""",
        """\
                await self._commit(consumer, live, batch)
                await self._insert(batch)
""",
        ("ClickHouse: event missing",),
    ),
    Bug(
        "the projector reads what is not committed",
        "projection/reading.py",
        'isolation_level="read_committed"',
        'isolation_level="read_uncommitted"',
        ("ClickHouse: rejection that Kafka does not have", "ClickHouse: event that Kafka does not have"),
    ),
    Bug(
        "the projector goes on at the end",
        "projection/projector.py",
        "            self._report(live)\n            for",
        "            known and await consumer.seek_to_end()\n            self._report(live)\n            for",
        ("ClickHouse: event missing",),
    ),
    Bug(
        "records of an older opening are handled",
        "handling/rebalancing.py",
        "if owner is not None and self._stamp.get(partition) == owner.epoch:",
        "if owner is not None:",
        ("event missing", "event wrong", "event twice", "reply twice", "reply wrong", "rejection twice"),
    ),
    Bug(
        "one event in 5,000 is dropped",
        "handling/unit_of_work.py",
        "        for record in event_records(answer):\n",
        "        for record in event_records(answer):\n"
        "            if hash(record.value) % 5000 == 0:\n"
        "                continue\n",
        ("event missing",),
    ),
    Bug(
        "offsets are not in the transaction",
        "handling/transaction.py",
        "    await producer.send_offsets_to_transaction({source: next_offset}, kafka.group)\n",
        "    _ = source\n",
        ("position is not the group's offset", "not caught up"),
    ),
    Bug(
        "state is remembered whether it was committed or not",
        "handling/opened.py",
        "        except ReplyRefusedError as error:\n",
        "        except BaseException as error:\n"
        "            self.states.remember(unit.changed, unit.states.items(), unit.timers, self.states._offset)\n"
        "            if not isinstance(error, ReplyRefusedError):\n"
        "                raise\n",
        ("event missing", "reply wrong", "event wrong", "state is not the sum of the events"),
    ),
    Bug(
        "replies are not in the transaction",
        "handling/transaction.py",
        "    sends = [",
        _PLAIN_REPLIES,
        ("reply twice", "reply names the wrong event"),
    ),
    Bug(
        "the reply to a duplicate is dropped",
        "handling/unit_of_work.py",
        "if not isinstance(answer, Misplaced) and answer.reply_to:",
        "if not isinstance(answer, Misplaced | Repeated) and answer.reply_to:",
        ("reply missing",),
    ),
    Bug(
        "a forwarded command is dropped",
        "handling/unit_of_work.py",
        "                self.batches.put(COMMANDS_TOPIC, answer.owner, forwarded_record(answer.record))\n",
        "                hash(answer.record.value) % 100 and self.batches.put(\n"
        "                    COMMANDS_TOPIC, answer.owner, forwarded_record(answer.record)\n"
        "                )\n",
        ("command not forwarded",),
    ),
    Bug(
        "the old owner is fenced after its state was read",
        "handling/opened.py",
        """\
        self._producer = await start_producer(context.kafka, transactional_id, context.timeouts)
        # Only now: until its transaction was ended by our InitProducerId, the old owner could still commit.
        commands = context.kafka.partition(COMMANDS_TOPIC, partition)
        committed = await self._consumer.committed(commands)
        async with state_topic(context.kafka, partition, context.timeouts) as topic:
            records = StoreRecords(topic.origin, context.kept, context.clock)
            self._store = await context.stores.open(records.origin, topic, context.clock())
            await restore(topic, self._store, records, self.progress)
""",
        """\
        commands = context.kafka.partition(COMMANDS_TOPIC, partition)
        committed = await self._consumer.committed(commands)
        async with state_topic(context.kafka, partition, context.timeouts) as topic:
            records = StoreRecords(topic.origin, context.kept, context.clock)
            self._store = await context.stores.open(records.origin, topic, context.clock())
            await restore(topic, self._store, records, self.progress)
        self._producer = await start_producer(context.kafka, transactional_id, context.timeouts)
""",
        ("event twice", "event missing", "event wrong", "reply twice", "reply wrong", "rejection twice"),
    ),
    Bug(
        "what has finished is forgotten by a restart",
        "handling/states.py",
        "self._hot[id_] = None if value is None else decode_snapshot(id_, value)",
        "self._hot[id_] = None if value is None or decode_snapshot(id_, value).completed_at else "
        "decode_snapshot(id_, value)",
        ("event twice", "reply wrong", "event wrong"),
    ),
    Bug(
        "an opening does not go back to where the transactions ended",
        "handling/partition.py",
        "        self._consumer.seek(self.tp, self._opened.next_offset)  # the committed offset may be behind\n",
        "",
        ("reply twice", "reply wrong", "event twice", "rejection twice", "event missing", "not caught up"),
    ),
    Bug(
        "a store is not brought up to date",
        "handling/restoring.py",
        "    progress.begins(offset, topic.end)\n",
        "    progress.begins(offset, topic.end)\n    if store.mark is not None:\n        return\n",
        ("event twice", "reply twice", "reply wrong", "event wrong", "rejection twice"),
    ),
    Bug(
        "a slow broker is held against a reply topic",
        "handling/transaction.py",
        "    except _FOR_GOOD as error:\n",
        "    except (*_FOR_GOOD, TimeoutError) as error:\n",
        ("reply missing", "rejection to nothing"),
    ),
    Bug(
        "the newest state of a batch is not written",
        "handling/unit_of_work.py",
        "            for execution_id, state in self.changed.items()\n",
        "            for execution_id, state in list(self.changed.items())[: max(20, len(self.changed) - 1)]\n",
        ("state is not the sum of the events",),
    ),
    Bug(
        "a producer leaves its errors behind",
        "handling/producer.py",
        "        leave_nothing(producer)\n",
        "        _ = leave_nothing\n",
        ("noise",),
    ),
)
