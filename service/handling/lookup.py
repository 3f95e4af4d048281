"""Stage 2, look up: what the commands name, fetched once, as values."""

from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer
from msgspec import Struct

from service.contracts.commands import ExecuteTask
from service.domain.definitions import Definition
from service.domain.execution import Execution
from service.handling.definitions_table import DefinitionsTable
from service.handling.incoming import Incoming, Readable
from service.handling.reply_topics import ReplyTopics
from service.handling.states import UncommittedStates

DefinitionName = tuple[str, str]
"""A taskId and a taskVersion."""


class Known(Struct, frozen=True):
    """What commands name: their definitions, as far as there are any, and why reply topics cannot be written."""

    definitions: Mapping[DefinitionName, Definition | None]
    topic_flaws: Mapping[str, str]

    def definition_of(self, task: ExecuteTask | Execution) -> Definition | None:
        """The definition that the command or the execution names; None if there is none."""
        return self.definitions.get((task.task_id, task.task_version))


class Lookup:
    """Looks up for the records of one batch, all of which are older than it: to ask for what is missing once is enough.

    Publishing, then executing works: before it is said that a definition is missing, all that was published is read.
    """

    def __init__(self, definitions: DefinitionsTable, reply_topics: ReplyTopics, consumer: AIOKafkaConsumer) -> None:
        self._definitions, self._reply_topics, self._consumer = definitions, reply_topics, consumer
        self._caught_up = self._learned = False

    async def find(self, commands: Sequence[Incoming], states: UncommittedStates) -> Known:
        """What these commands, and the states that they are about, name."""
        names = {name for command in commands if (name := _definition_name(command, states)) is not None}
        definitions = self._named(names)
        if not self._caught_up and any(found is None or not found.is_published for found in definitions.values()):
            self._caught_up = True
            await self._definitions.catch_up()
            definitions = self._named(names)
        topics = {command.reply_to.topic for command in commands if command.reply_to is not None}
        if not self._learned and not all(map(self._reply_topics.knows, topics)):
            self._learned = True
            await self._reply_topics.learn(self._consumer)
        flaws = {topic: flaw for topic in topics if (flaw := self._reply_topics.flaw(topic)) is not None}
        return Known(definitions, flaws)

    def _named(self, names: Iterable[DefinitionName]) -> dict[DefinitionName, Definition | None]:
        return {name: self._definitions.get(*name) for name in names}


def _definition_name(incoming: Incoming, states: UncommittedStates) -> DefinitionName | None:
    task: ExecuteTask | Execution | None
    if not isinstance(incoming, Readable):
        task = incoming.rest
    elif isinstance(incoming.command, ExecuteTask):
        task = incoming.command
    else:
        task = states.get(incoming.execution_id)
    return None if task is None else (task.task_id, task.task_version)
