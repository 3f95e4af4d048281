from collections.abc import AsyncIterator, Iterator

import pytest

from tests.client.published import EventsTopic, an_events_topic
from tests.e2e.process import Up, up


@pytest.fixture
async def events_topic(kafka: str) -> AsyncIterator[EventsTopic]:
    async with an_events_topic(kafka) as topic:
        yield topic


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("up") / "data") as service:
        yield service
