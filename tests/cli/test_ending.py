"""`taskexec wait`, and `--wait`: until it has come so far, and what the exit code says then."""

import json

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.contracts.problems import Code, reject
from tests.api.scripted import FAILURE, ID, PENDING, RUNNING
from tests.cli.conftest import Service

ENDED = {name: value for name, value in FAILURE.items() if name != "errorMessage"}
SUCCESS = ENDED | {"status": "SUCCESS", "outputs": {}}
STOPPED = ENDED | {"status": "STOPPED"}
SKIPPED = PENDING | {"status": "SKIPPED", "skipReason": "upstream_failed: a"}


@pytest.mark.parametrize(
    ("arguments", "lives", "exit_code"),
    [
        ((), [PENDING, RUNNING, SUCCESS], 0),
        ((), [PENDING, FAILURE], 5),
        (("--for", "success"), [SUCCESS], 0),
        (("--for", "failure"), [RUNNING, FAILURE], 0),
        (("--for", "failure"), [RUNNING, SUCCESS], 5),
        (("--for", "ended"), [RUNNING, SKIPPED], 0),
        (("--for", "running"), [PENDING, RUNNING, FAILURE], 0),
        (("--for", "running"), [PENDING, FAILURE], 0),  # it has been
        (("--for", "running"), [PENDING, SKIPPED], 5),
    ],
)
def test_it_ends_where_the_goal_is_met_or_cannot_be(
    service: Service, arguments: tuple[str, ...], lives: list[dict[str, object]], exit_code: int
) -> None:
    service.queries.executions = [*lives]
    result = service.run("wait", ID, *arguments, "--json")
    assert result.exit_code == exit_code
    met = lives[-2] if ("running" in arguments and len(lives) == 3) else lives[-1]
    assert json.loads(result.stdout)["status"] == met["status"]


def test_it_waits_no_longer_than_it_may(service: Service) -> None:
    service.queries.executions = [RUNNING]
    result = service.run("wait", ID, "--timeout", "300ms")
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"{ID} is RUNNING after 0:00:00.300000; it was waited for SUCCESS." in result.stderr
    assert service.run("wait", ID, "--timeout", "soon").exit_code == 2


def test_an_outage_is_outlasted_and_told_once(service: Service) -> None:
    service.queries.outages = [reject(Code.UNAVAILABLE, "It restarts.") for _ in range(2)]
    service.queries.executions = [SUCCESS]
    result = service.run("wait", ID)
    assert result.exit_code == 0
    assert result.stderr.count("Asking again.") == 1


def test_a_service_that_stays_away_is_not_waited_for_longer(service: Service) -> None:
    result = CliRunner().invoke(app, ["wait", ID, "--timeout", "1s", "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 3
    assert "is not known after" in result.stderr


def test_stop_waits_until_answers_show_it(service: Service) -> None:
    service.queries.executions = [RUNNING, STOPPED]
    assert service.run("stop", ID, "--wait").exit_code == 0
    assert {asked["min_position"] for asked in service.queries.asked} == {"3:1207"}
    service.queries.executions = [FAILURE]
    assert service.run("stop", ID, "--wait").exit_code == 5
