import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.definition_files import read_definitions
from service.cli.exits import CommandError
from service.cli.main import app

JSON = '{"taskId": "a:b", "version": "1.0.0", "status": "PUBLISHED", "type": "sql"}'
YAML = """\
taskId: sales:daily_report
version: 1.2.0
status: PUBLISHED
type: pyspark_operator
inputVariables:
  - {name: day, type: string, validation: {pattern: "^[0-9-]{10}$"}}
  - {name: since, type: string, required: false, defaultValue: 2026-03-01}
---
- {taskId: "a:c", version: draft, status: DRAFT, type: sql}
- {taskId: "a:d", version: draft, status: DRAFT, type: sql}
"""


def flaws(tmp_path: Path, *texts: str, suffix: str = ".yaml") -> list[str]:
    files = [tmp_path / f"{number}{suffix}" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    with pytest.raises(CommandError) as refused:
        read_definitions(files)
    assert refused.value.exit_code == 2
    return [line.removeprefix(f"{tmp_path}/") for line in refused.value.lines[1:]]


def test_json_and_yaml_hold_one_definition_or_several(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(JSON)
    (tmp_path / "more.yml").write_text(YAML)

    definitions = read_definitions([tmp_path / "one.json", tmp_path / "more.yml"])

    assert [definition.key for definition in definitions] == [
        "a:b@1.0.0", "sales:daily_report@1.2.0", "a:c@draft", "a:d@draft",
    ]  # fmt: skip
    assert definitions[1].input_variables[1].default_value == "2026-03-01"


def test_all_mistakes_in_all_files_are_told_at_once(tmp_path: Path) -> None:
    unknown = JSON.replace('"type"', '"inputVariable": [], "type"').replace("a:b", "a:x")
    assert flaws(tmp_path, JSON, JSON, JSON.replace("1.0.0", "1.0"), unknown, "", suffix=".yaml") == [
        "1.yaml, definition 1: a:b@1.0.0 is given twice; keep one",
        "2.yaml, definition 1: #/version: " + flaws(tmp_path, JSON.replace("1.0.0", "1.0"))[0].split(": ", 2)[2],
        "3.yaml, definition 1: #/inputVariable: unknown field; it would not be published",
        "4.yaml: holds no definition",
    ]


def test_a_definition_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    text = YAML.replace("required: false, ", "").partition("---")[0]

    (flaw,) = flaws(tmp_path, text)

    assert flaw.startswith("0.yaml, definition 1: #/inputVariables/1/defaultValue: since: is required")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x\n", "line 2: aliases are not allowed; write the value out"),
        ("a: &x [*x]\n", "line 1: aliases are not allowed; write the value out"),
        ("a: 1\na: 2\n", 'not valid YAML: line 2: found duplicate key "a" with value "2" (original value: "1")'),
        ("a: [1\n", "not valid YAML: line 2: expected ',' or ']', but got '<stream end>'"),
        ("a: .nan\n", "not strict JSON"),
        ("a: !!python/object:os.system {}\n", "not valid YAML"),
    ],
)
def test_yaml_can_say_no_more_than_json(tmp_path: Path, text: str, message: str) -> None:
    (flaw,) = flaws(tmp_path, text)

    assert flaw.startswith(f"0.yaml: {message}")


def test_json_files_are_read_strictly(tmp_path: Path) -> None:
    (flaw,) = flaws(tmp_path, '{"taskId": "a:b", "taskId": "a:c"}', suffix=".json")

    assert flaw.startswith("0.json: not strict JSON")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["definitions", "publish", str(tmp_path / "none.json")])

    assert result.exit_code == 2
    assert f"{tmp_path}/none.json: cannot be read: No such file or directory" in result.stderr


def test_without_kafka_nothing_is_published_and_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(JSON)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        servers = f"127.0.0.1:{closed.getsockname()[1]}"
        publish = ["definitions", "publish", str(tmp_path / "one.json"), "--bootstrap-servers", servers]
        result = subprocess.run(
            [sys.executable, "-m", "service", *publish], capture_output=True, text=True, check=False
        )

    assert (result.returncode, result.stdout) == (3, "")
    assert f"Kafka at {servers} did not take the definitions" in result.stderr
