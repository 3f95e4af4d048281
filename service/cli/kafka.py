"""How commands ask Kafka, and say what went wrong."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from service.cli.asking import Broker
from service.cli.environment import read_kafka_settings
from service.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from service.definitions.versions import Versions
    from service.kafka.connection import Kafka

    Answer = TypeVar("Answer")


def ask_kafka(
    broker: Broker, ask: "Callable[[Kafka], Awaitable[Answer]]", failed: str, advice: str = "then ask again"
) -> "Answer":
    """What Kafka answers. `failed`: what it did not do where there is none, and `advice`: what to do when it is there.

    Raises:
        CommandError: it does not answer, or refuses us.
    """
    import asyncio  # noqa: PLC0415 - what only shows help does not pay for Kafka
    import logging  # noqa: PLC0415 - as above

    import stamina.instrumentation  # noqa: PLC0415 - as above
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - as above

    from service.kafka.internals.fetching import bound_fetching  # noqa: PLC0415 - as above
    from service.kafka.internals.knocking import KafkaRefusedError  # noqa: PLC0415 - as above

    kafka = read_kafka_settings(**broker).kafka
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what they log, we say better below
    stamina.instrumentation.set_on_retry_hooks([])
    bound_fetching()

    async def asked() -> Any:  # noqa: ANN401 - what was asked for
        return await ask(kafka)

    try:
        return asyncio.run(asked())  # type: ignore[no-any-return]  # see there
    except KafkaRefusedError as error:
        raise CommandError(Exit.UNAVAILABLE, str(error)) from None
    except KafkaError as error:
        raise CommandError(
            Exit.UNAVAILABLE,
            f"Kafka at {kafka.servers} {failed}: {error!r}",
            f"Start it with `taskexec up`, or name another one with --bootstrap-servers or --context; {advice}.",
        ) from None


def all_versions(broker: Broker) -> "Versions":
    """All that is on the topic.

    Raises:
        CommandError: Kafka does not answer, or refuses us.
    """
    from service.client.definitions import read_versions  # noqa: PLC0415 - what only shows help does not pay for Kafka

    return ask_kafka(broker, read_versions, "did not tell the definitions")
