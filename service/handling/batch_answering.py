"""A batch of command records in, their answers out, in memory: what one answer needs from outside is fetched first."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from service.contracts.definitions import DefinitionStatus
from service.contracts.envelope import REPLY_TO
from service.contracts.topics import REPLY_TOPIC
from service.domain.definitions import Definition
from service.domain.execution import Execution
from service.handling.answering import Accepted, Answer, Desk
from service.handling.definitions_table import DefinitionsTable
from service.handling.replies import ReplyTopics
from service.kafka.records import Record


class BatchAnswering:
    """Answers the records of one partition."""

    def __init__(
        self, partition: int, partitions: int, definitions: DefinitionsTable, reply_topics: ReplyTopics
    ) -> None:
        self._definitions, self._reply_topics = definitions, reply_topics
        self._desk = Desk(partition, partitions, self._definition_of, reply_topics.flaw)
        self._missed_definition = False

    async def answer_all(
        self, records: Sequence[Record], known: Mapping[str, Execution], at: datetime
    ) -> tuple[list[Answer], dict[str, Execution]]:
        """The answers in order, each seeing what those before it did, and the states that are new by them."""
        await self._learn_reply_topics(records)
        changed: dict[str, Execution] = {}

        def state_of(execution_id: str) -> Execution | None:
            return changed.get(execution_id) or known.get(execution_id)

        answers: list[Answer] = []
        caught_up = False
        for record in records:
            self._missed_definition = False
            answer = self._desk.answer(record, state_of, at)
            if self._missed_definition and not caught_up:
                # All records of the batch are older than this moment: once is enough for all of them.
                await self._definitions.catch_up()
                caught_up = True
                answer = self._desk.answer(record, state_of, at)
            if isinstance(answer, Accepted):
                changed[answer.state.execution_id] = answer.state
            answers.append(answer)
        return answers, changed

    def _definition_of(self, task_id: str, version: str) -> Definition | None:
        definition = self._definitions.get(task_id, version)
        if definition is None or definition.status is not DefinitionStatus.PUBLISHED:
            self._missed_definition = True
        return definition

    async def _learn_reply_topics(self, records: Sequence[Record]) -> None:
        asked = {
            value.decode(errors="replace")
            for record in records
            for name, value in record.headers
            if name == REPLY_TO and value
        }
        names = {name for name in asked if REPLY_TOPIC.fullmatch(name)}
        if names:
            await self._reply_topics.learn(names)
