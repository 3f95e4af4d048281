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
        f"1.yaml, definition 1: a:b@1.0.0 is given twice, first in {tmp_path}/0.yaml, definition 1; keep one",
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
        ("a: " + "[" * 1000 + "]" * 1000, "not valid YAML: nested too deeply"),
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


def test_the_same_file_twice_gives_its_definitions_twice(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(JSON)
    result = CliRunner().invoke(app, ["definitions", "validate", *[str(tmp_path / "one.json")] * 2])
    assert result.exit_code == 2
    assert "a:b@1.0.0 is given twice" in result.stderr


def test_everything_that_is_wrong_with_a_definition_is_told(tmp_path: Path) -> None:
    variables = """ "inputVariables": [
        {"name": "a", "type": "string", "validation": {"pattern": "(?=x)", "minLength": 2, "maxLength": 1}},
        {"name": "a", "type": "number", "defaultValue": 1}]"""
    found = flaws(tmp_path, JSON.replace('"type"', f'{variables}, "type"'), suffix=".json")
    assert [flaw.split(": ")[1] for flaw in found] == [
        "#/inputVariables/0/validation/minLength",
        "#/inputVariables/0/validation/pattern",
        "#/inputVariables/1/defaultValue",
        "#/inputVariables/1/name",
    ]


@pytest.mark.parametrize(
    ("default", "message"),
    [('"' + "x" * 4_150_000 + '"', "at most 4128768 are allowed"), ("[" * 192 + "]" * 192, "nested deeper than 190")],
)
def test_what_the_service_would_not_read_is_refused(tmp_path: Path, default: str, message: str) -> None:
    kind = "array" if default.startswith("[") else "string"
    variable = f'{{"name": "a", "type": "{kind}", "required": false, "defaultValue": {default}}}'
    (flaw,) = flaws(tmp_path, JSON.replace('"type"', f'"inputVariables": [{variable}], "type"'), suffix=".json")
    assert message in flaw


def test_validating_says_of_each_definition_whether_it_is_usable(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(JSON)
    (tmp_path / "more.yml").write_text(YAML)
    files = [str(tmp_path / name) for name in ("one.json", "more.yml")]

    good = CliRunner().invoke(app, ["definitions", "validate", *files])
    (tmp_path / "bad.json").write_text(JSON.replace("a:b", "\\u001b[31m"))
    bad = CliRunner().invoke(app, ["definitions", "validate", *files, str(tmp_path / "bad.json")])

    assert good.exit_code == 0
    assert good.stderr.splitlines() == [
        f"{tmp_path}/one.json, definition 1: a:b 1.0.0 (PUBLISHED) is usable",
        f"{tmp_path}/more.yml, definition 1: sales:daily_report 1.2.0 (PUBLISHED) is usable",
        f"{tmp_path}/more.yml, definition 2: a:c draft (DRAFT) is usable",
        f"{tmp_path}/more.yml, definition 3: a:d draft (DRAFT) is usable",
    ]
    assert bad.exit_code == 2
    assert bad.stderr.splitlines()[:5] == [*good.stderr.splitlines(), "Error: There are mistakes in the files:"]
    assert f"  {tmp_path}/bad.json, definition 1: #/taskId: must be namespace:name, such as" in bad.stderr


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
