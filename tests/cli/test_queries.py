import json
from typing import Any

import pytest

from service.contracts.problems import Code, reject
from service.contracts.status import Status
from service.ports.read_model import Place
from service.queries.requests import write_cursor
from tests.api.scripted import FAILURE, FRESH, GROUP, ID, PENDING, recorded
from tests.cli.conftest import Service


def test_get_shows_what_there_is_and_nothing_that_drives_the_terminal(service: Service) -> None:
    service.queries.executions = [FAILURE]

    result = service.run("get", ID, "--min-position", "3:1207")

    assert result.exit_code == 0
    assert "sales:daily_report 1.2.0" in result.stdout
    assert "2.5 s" in result.stdout
    assert "disk full \\x1b[31mon node 7" in result.stdout
    assert "outputs" not in result.stdout
    assert service.queries.asked == [{"execution_id": ID, "min_position": "3:1207"}]


def test_get_as_json_is_the_answer_of_the_service(service: Service) -> None:
    assert json.loads(service.run("get", ID, "--json").stdout) == PENDING | FRESH


def test_list_shows_a_line_for_each_and_how_to_go_on(service: Service) -> None:
    result = service.run("list", "--task", "sales:daily_report", "--status", "failure", "--page-size", "2")

    header, first, second = result.stdout.splitlines()
    assert header.split() == ["ID", "STATUS", "TASK", "VERSION", "CREATED", "BY", "TOOK", "WHY"]
    assert ("FAILURE" in first, "PENDING" in second) == (True, True)
    assert result.stderr == "2 of 7; the next page: --cursor bmV4dA\n"
    wanted = {"task_id": "sales:daily_report", "status": (Status.FAILURE,), "page_size": 2}
    assert service.queries.asked == [wanted]


def test_list_counts_by_status_where_it_is_asked_to(service: Service) -> None:
    result = service.run("list", "--counts", "--status", "failure")

    assert result.stderr.startswith(
        "2 of 7 (PENDING 1, RUNNING 2, SUCCESS 3, FAILURE 4, STOPPED 5, SKIPPED 6); the next"
    )
    assert service.queries.asked == [{"counts": True, "status": (Status.FAILURE,)}]


def test_a_cursor_goes_without_a_page_number(service: Service) -> None:
    result = service.run("list", "--cursor", write_cursor(Place(1_772_424_000_125, ID)), "--json")

    assert json.loads(result.stdout)["total"] == 7
    assert service.queries.asked[0].keys() == {"cursor"}


def test_stats_show_all_six_statuses(service: Service) -> None:
    header, counts = service.run("stats").stdout.splitlines()

    assert header.split() == ["TASK", "TOTAL", *Status, "RATE"]
    assert counts.split() == ["all", "21", "1", "2", "3", "4", "5", "6"]
    assert json.loads(service.run("stats", "--task", "a:b", "--json").stdout)["taskId"] == "a:b"


def test_stats_show_groups_with_rates_and_times(service: Service) -> None:
    times = {"p50": 1500, "p90": 2000, "p95": 61_000, "p99": 70_000}
    service.queries.statistics = {
        "successRate": 0.4285, "runTime": times, "timesError": 0.01,
        "groups": [{"key": "1.0.0", "total": 2, "pending": 0, "running": 0, "success": 1, "failure": 1, "stopped": 0,
                    "skipped": 0, "successRate": 0.5, "queueTime": times}],
    }  # fmt: skip
    result = service.run(
        "stats", "--task", "a:b", "--group-by", "taskVersion", "--since", "24h", "--tag", "x", "--times"
    )

    header, group, every = result.stdout.splitlines()
    assert header.split()[0] == "VERSION"
    assert header.split()[-5:] == ["RATE", "QUEUE_P50", "QUEUE_P95", "RUN_P50", "RUN_P95"]
    assert group.split()[:2] + group.split()[-5:] == ["1.0.0", "2", "50.0%", "1.5", "s", "61.0", "s"]
    assert every.split()[:2] + every.split()[-5:] == ["a:b", "21", "42.9%", "1.5", "s", "61.0", "s"]
    assert result.stderr == "times within 1% and a millisecond; exactly: --exact\n"
    (asked,) = service.queries.asked
    assert (asked["task_id"], asked["group_by"], asked["times"], asked["tag"]) == ("a:b", "taskVersion", True, ("x",))


def test_failures_show_a_line_for_each_group(service: Service) -> None:
    result = service.run("failures", "--completed-from", "24h", "--tag", "x", "--limit", "1")

    header, group = result.stdout.splitlines()
    assert header.split() == ["COUNT", "FINGERPRINT", "TASKS", "FIRST", "SEEN", "LAST", "SEEN", "NEWEST"]
    assert group.startswith("7")
    assert "disk full \\x1b[<n>mon node <n>" in group
    assert "sales:daily_report, a:b and 2 more" in group
    assert group.rstrip().endswith(ID)
    assert result.stderr.startswith("1 of 3 groups; 9 failures; ")
    (asked,) = service.queries.asked
    assert asked.keys() == {"completed_from", "tag", "limit"}
    assert json.loads(service.run("failures", "--json").stdout)["items"] == [GROUP]


def test_history_says_what_happened(service: Service) -> None:
    lines = service.run("history", ID).stdout.splitlines()

    assert [line.split()[1] for line in lines] == ["EVENT", "TaskExecutionCreated", "TaskExecutionStopped"]
    assert lines[2].rstrip().endswith("by ben: superseded")
    assert len(json.loads(service.run("history", ID, "--json").stdout)["items"]) == 2


TOLD = {"previousStatus": "RUNNING", "status": "RUNNING"}


@pytest.mark.parametrize(
    ("type_", "status", "data", "what"),
    [
        ("Created", "PENDING", {"createdBy": "anna", "resolvedInputs": {"day": None}}, 'by anna: {"day": null}'),
        ("Started", "RUNNING", {"previousStatus": "PENDING", "sparkApplicationId": "app_1"}, "as app_1"),
        ("Progressed", "RUNNING", TOLD | {"sparkApplicationId": "app_1"}, "as app_1"),
        ("Progressed", "RUNNING", TOLD | {"sparkApplicationId": "app_1", "progress": 0.5}, "50%"),
        ("Started", "RUNNING", {"previousStatus": "PENDING"}, "3:1207"),
        ("Succeeded", "SUCCESS", {"outputs": {"rows": 3}}, '{"rows": 3}'),
        ("Failed", "FAILURE", {"errorMessage": "disk full"}, "disk full"),
        ("Skipped", "SKIPPED", {"skipReason": "upstream_failed: a"}, "upstream_failed: a"),
        ("Stopped", "STOPPED", {"requestedBy": "ben"}, "by ben"),
    ],
)
def test_history_tells_what_each_event_adds(
    service: Service, type_: str, status: str, data: dict[str, Any], what: str
) -> None:
    service.queries.events = [recorded(type_, status, data)]

    assert service.run("history", ID).stdout.rstrip().endswith(what)


def test_where_payloads_were_dropped_it_says_so(service: Service) -> None:
    service.queries.executions = [FAILURE | {"payloadsDropped": True}]
    shown, history = service.run("get", ID), service.run("history", ID)
    assert "payloads" in shown.stdout
    assert "inputs and outputs were dropped" in shown.stdout
    assert history.stderr == "inputs and outputs were dropped: they are not kept as long as the rest\n"
    assert json.loads(service.run("get", ID, "--json").stdout)["payloadsDropped"] is True
    service.queries.executions = [FAILURE]
    assert "dropped" not in service.run("get", ID).stdout + service.run("history", ID).stderr


@pytest.mark.parametrize(("code", "exit_code"), [(Code.EXECUTION_NOT_FOUND, 4), (Code.UNAVAILABLE, 3)])
def test_the_exit_code_tells_what_kind_of_refusal_it_is(service: Service, code: Code, exit_code: int) -> None:
    service.queries.error = reject(code, "For some reason.")

    result = service.run("get", ID)

    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert "For some reason." in result.stderr


def test_a_wrong_parameter_is_explained_by_the_service(service: Service) -> None:
    result = service.run("list", "--task", "nonsense")

    assert result.exit_code == 2
    assert "--task: must be namespace:name" in result.stderr


def test_an_id_cannot_lead_elsewhere(service: Service) -> None:
    result = service.run("get", "../task-execution-stats?x")

    assert result.exit_code == 2
    assert not service.queries.asked
