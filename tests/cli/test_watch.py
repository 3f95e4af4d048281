"""`taskexec watch`: each event once, whatever breaks in between."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli.main import app
from service.kafka.murmur2 import partition_of
from tests.api.scripted import ID, METADATA
from tests.cli.standing_in import BROKEN, UNBORN, StandIn, id_of, message, place


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn().serving() as running:
        yield running


def run(service: StandIn, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"TASKEXEC_URL": service.url})


def item(number: int, type_: str, status: str) -> dict[str, Any]:
    """As a history has it."""
    place = {"partition": 3, "offset": number}
    return {
        "type": f"TaskExecution{type_}",
        "time": METADATA["createdAt"],
        "status": status,
        "position": place,
        "data": {},
    }


CREATED, STARTED = item(1, "Created", "PENDING"), item(2, "Started", "RUNNING")
FAILED = message(5, "Failed", "FAILURE", ID, {"errorMessage": "disk full \x1b[31m"})


def test_one_execution_is_followed_from_its_creation_to_its_end(service: StandIn) -> None:
    service.history = [CREATED, STARTED]
    service.streams = [[message(2, "Started", "RUNNING", ID, {}), message(3, "Progressed", "RUNNING", ID, {}), FAILED]]

    result = run(service, "watch", ID)

    assert result.exit_code == 5
    words = [line.split() for line in result.stdout.splitlines()]
    assert [line[1:4] for line in words] == [
        [ID, "PENDING", "TaskExecutionCreated"], [ID, "RUNNING", "TaskExecutionStarted"],
        [ID, "RUNNING", "TaskExecutionProgressed"], [ID, "FAILURE", "TaskExecutionFailed"],
    ]  # fmt: skip
    assert result.stdout.rstrip().endswith("disk full \\x1b[31m")
    assert service.connections == [{"resume": None, "query": [("executionId", ID)]}]


def test_a_history_that_is_behind_is_asked_for_again(service: StandIn) -> None:
    """What was published before the stream began, and is not in the read side yet, is nowhere else."""
    service.history, service.behind = [CREATED, STARTED, item(3, "Succeeded", "SUCCESS")], 1
    service.streams = [[]]
    result = run(service, "watch", ID, "--json")
    assert result.exit_code == 0
    assert [json.loads(line)["type"][13:] for line in result.stdout.splitlines()] == ["Created", "Started", "Succeeded"]
    assert service.histories == [f"{partition_of(ID.encode(), 4)}:4"] * 2
    assert [one["resume"] for one in service.connections] == [None, None]
    assert result.stderr == "Behind (projection_behind) Trying again.\nConnected again.\n"


def test_a_connection_that_breaks_is_made_again_without_repeats(service: StandIn) -> None:
    first, second = (message(n, "Started", "RUNNING", id_of(n), {}) for n in (7, 8))
    third = message(9, "Succeeded", "SUCCESS", ID, {"outputs": {}})
    service.history = [CREATED]
    service.streams = [[first], [first, second], [second, third]]

    result = run(service, "watch", ID, "-o", "csv")

    assert result.exit_code == 0
    rows = [*csv.DictReader(io.StringIO(result.stdout))]
    assert [row["position"] for row in rows] == ["3:1", "3:7", "3:8", "3:9"]
    assert [one["resume"] for one in service.connections] == [None, place(8), place(9)]


def test_what_fits_is_watched_for_ever_and_each_line_is_there_at_once(service: StandIn) -> None:
    service.streams = [[FAILED], []]
    command = [sys.executable, "-m", "service", "watch", "--status", "failure", "--tag", "x", "-o", "jsonl"]
    with subprocess.Popen(
        command,
        env=os.environ | {"TASKEXEC_URL": service.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout
        assert watching.stderr
        assert json.loads(watching.stdout.readline()) == FAILED
        assert watching.poll() is None
        watching.terminate()
        assert watching.stderr.read() == ""
    assert sorted(service.connections[0]["query"]) == [("status", "FAILURE"), ("tag", "x")]


def test_a_service_that_goes_away_is_waited_for(service: StandIn) -> None:
    first, last = message(7, "Started", "RUNNING", ID, {}), message(9, "Succeeded", "SUCCESS", ID, {"outputs": {}})
    service.streams = [[first, BROKEN], [BROKEN], [last]]
    result = run(service, "watch", ID, "-o", "csv")
    assert result.exit_code == 0
    assert [row["position"] for row in csv.DictReader(io.StringIO(result.stdout))] == ["3:7", "3:9"]
    assert result.stderr.count("Trying again.") >= 1
    assert result.stderr.endswith("Connected again.\n")
    assert [one["resume"] for one in service.connections] == [None, place(8), place(8)]


def test_a_gap_is_told_of(service: StandIn) -> None:
    """A connection that breaks before its first message has nothing to go on from."""
    service.streams = [[UNBORN], [FAILED], [{"refusal": 400}]]
    result = run(service, "watch", "--tag", "x")
    assert result.stderr.startswith(
        "Connected again. No event had come before: what happened in between is not shown.\n"
    )
    assert len(result.stdout.splitlines()) == 1


def test_what_cannot_be_resumed_is_told_and_not_left_out(service: StandIn) -> None:
    service.streams = [[FAILED], [{"refusal": 400}]]
    result = run(service, "watch", "--status", "failure")
    assert result.exit_code == 1
    assert "Begin anew." in result.stderr


def test_one_execution_or_filters(service: StandIn) -> None:
    assert run(service, "watch", ID, "--tag", "x").exit_code == 2
    assert not service.connections
