"""The OpenAPI document and the running service say the same, whatever a client sends."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.process import up

HERE = Path(__file__).parent
TASK = {
    "taskId": "any:task", "version": "1.0.0", "status": "PUBLISHED", "type": "pyspark_operator",
    "inputVariables": [{"name": "any", "type": "object", "required": False}],
    "outputVariables": [{"name": "any", "type": "object", "required": False}],
}  # fmt: skip


@pytest.mark.timeout(700)
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    file = tmp_path / "task.json"
    file.write_text(json.dumps(TASK), encoding="utf-8")
    with up(tmp_path / "data") as service:
        assert service.run("definitions", "publish", str(file)).returncode == 0
        schemathesis = Path(sys.executable).with_name("schemathesis")
        command: list[str | Path] = [
            schemathesis,
            "--config-file",
            HERE / "schemathesis.toml",
            "run",
            f"{service.url}/openapi.json",
        ]
        environment = service.environment | {"PYTHONPATH": str(HERE)}
        ran = subprocess.run(
            command, cwd=tmp_path, env=environment, check=False, timeout=600, capture_output=True, text=True
        )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    phases = re.findall(r"^  (\S+) (Examples|Coverage|Fuzzing|Stateful)$", ran.stdout, re.MULTILINE)
    assert [outcome for outcome, _ in phases] == ["✅"] * 4, ran.stdout
