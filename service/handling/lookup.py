"""Stage 2, look up: what the commands name, fetched once, as values."""

from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaConsumer

from service.contracts.commands import ExecuteTask
from service.domain.definitions import Definition
from service.handling.deciding import DefinitionName, Known, task_of
from service.handling.definitions_table import DefinitionsTable
from service.handling.incoming import Incoming, Readable, Unreadable
from service.handling.reply_topics import ReplyTopics
from service.handling.unit_of_work import UnitOfWork


class Lookup:
    """Looks up for the records of one batch, all of which are older than it: to ask for what is missing once is enough.

    Publishing, then executing works: before it is said that a definition is missing, all that was published is read.
    """

    def __init__(self, definitions: DefinitionsTable, reply_topics: ReplyTopics, consumer: AIOKafkaConsumer) -> None:
        self._definitions, self._reply_topics, self._consumer = definitions, reply_topics, consumer
        self._caught_up = False
        self._asked: set[str] = set()
        self._flaws: dict[str, str] = {}

    async def find(self, commands: Sequence[Incoming], unit: UnitOfWork) -> Known:
        """What these commands, and the states that they are about, name."""
        names = {name for command in commands if (name := _definition_name(command, unit)) is not None}
        definitions = self._named(names)
        missing = any(found is None or not found.is_published for found in definitions.values())
        if not self._caught_up and (missing or self._may_hold_secrets(commands)):
            self._caught_up = True
            await self._definitions.catch_up()
            definitions = self._named(names)
        topics = {command.reply_to.topic for command in commands if command.reply_to is not None}
        if new := topics - self._asked:
            self._asked |= new
            self._flaws |= await self._reply_topics.flaws(new, self._consumer)
        return Known(definitions, self._flaws, self._definitions.sensitive)

    def _may_hold_secrets(self, commands: Iterable[Incoming]) -> bool:
        """Whether one is refused whose definition cannot be known: it is published as it came if none is sensitive.

        Before that is said, too, all that was published is read.
        """
        return not self._definitions.sensitive and any(
            type(command) is Unreadable and command.rest is None for command in commands
        )

    def _named(self, names: Iterable[DefinitionName]) -> dict[DefinitionName, Definition | None]:
        return {name: self._definitions.get(*name) for name in names}


def _definition_name(incoming: Incoming, unit: UnitOfWork) -> DefinitionName | None:
    state = None
    if type(incoming) is Readable and type(incoming.command) is not ExecuteTask:
        state = unit.state_of(incoming.execution_id)
    task = task_of(incoming, state)
    return None if task is None else (task.task_id, task.task_version)
