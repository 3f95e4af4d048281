import json

from tests.cli.conftest import Service


def test_list_shows_a_line_for_each_and_how_to_go_on(service: Service) -> None:
    result = service.run("rejections", "list", "--code", "invalid_command", "--since", "24h", "--page-size", "1")
    header, row = result.stdout.splitlines()
    assert header.split() == ["POSITION", "REJECTED", "CODE", "COMMAND", "FROM", "EXECUTION", "WHY"]
    assert row.split()[:5] == ["3:1207", "2026-03-02T04:00:00.000Z", "invalid_command", "ExecuteTask", "/airflow"]
    assert result.stderr == "1 of 3; the next page: --cursor 1:3:1207\n"
    (asked,) = service.queries.asked
    assert asked.keys() == {"code", "rejected_from", "page_size"}


def test_show_has_the_record_as_it_came_and_nothing_that_drives_the_terminal(service: Service) -> None:
    result = service.run("rejections", "show", "3:1207")
    assert result.exit_code == 0
    assert "#/taskId: missing" in result.stdout
    assert "ce_type: ExecuteTask" in result.stdout
    assert '{"a": "\\x1b\\xff"}' in result.stdout
    answer = json.loads(service.run("rejections", "show", "3:1207", "--json").stdout)
    assert answer["record"]["value"] == "eyJhIjogIhv/In0="


def test_a_position_that_is_none_is_refused(service: Service) -> None:
    result = service.run("rejections", "show", "latest")
    assert result.exit_code == 1
    assert "rejectionPosition" in result.stderr
