import json

from service.contracts.topics import EVENTS_TOPIC
from tests.api.scripted import standing
from tests.cli.conftest import Service


def test_how_far_answers_are_behind(service: Service) -> None:
    result = service.run("projection", "status")
    header, row = result.stdout.splitlines()
    assert header.split()[:5] == ["TOPIC", "PARTITION", "STORED", "END", "LAG"]
    assert row.split()[:5] == [EVENTS_TOPIC, "0", "6", "10", "3"]
    assert (result.exit_code, result.stderr.startswith("FOLLOWING; 3 offsets behind")) == (0, True)


def test_one_that_is_stalled_is_told_by_the_exit_code(service: Service) -> None:
    service.queries.standing = standing(age_seconds=60)
    result = service.run("projection", "status", "--json")
    assert json.loads(result.stdout)["state"] == "STALLED"
    assert result.exit_code == 3
    assert "does not follow" in result.stderr
