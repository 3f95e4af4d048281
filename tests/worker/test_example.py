"""examples/worker does what the README's definition asks for."""

import csv
import re
import subprocess
import tempfile
from pathlib import Path

from tests.e2e.process import TASKEXEC, Up
from tests.worker.conftest import ROOT, Client

EXAMPLE = ROOT / "examples/worker"


def test_the_example_runs_the_readmes_task(running: Up, client: Client, tmp_path: Path) -> None:
    definition = re.search(r"<<'YAML'\n(.*?)\nYAML", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert definition
    file = tmp_path / "daily_report.yaml"
    file.write_text(definition[1], encoding="utf-8")
    assert running.run("definitions", "publish", str(file)).returncode == 0
    body = {"taskId": "sales:daily_report", "taskVersion": "1.2.0", "inputs": {"day": "2026-03-01", "top": 3}}
    id_ = str(client.post("task-executions", body)["id"])
    command = [*TASKEXEC, "worker", "reports:worker"]
    with subprocess.Popen(command, cwd=EXAMPLE, env=running.environment) as process:
        try:
            assert client.ended(id_)["status"] == "SUCCESS"
        finally:
            process.terminate()
    assert process.returncode == 0
    report = Path(tempfile.gettempdir()) / f"report-{id_}.csv"
    rows = list(csv.reader(report.read_text("utf-8").splitlines()))
    report.unlink()
    assert rows[0] == ["cents", "item"]
    assert len(rows) == 4
