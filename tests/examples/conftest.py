from collections.abc import AsyncIterator

import pytest

from tests.client.published import EventsTopic, an_events_topic


@pytest.fixture
async def events_topic(kafka: str) -> AsyncIterator[EventsTopic]:
    async with an_events_topic(kafka) as topic:
        yield topic
