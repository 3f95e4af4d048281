"""What docs/client.md says is so: its examples are run as a reader would run them, in order."""

import sys
from pathlib import Path

from tests.e2e.documents import blocks, run
from tests.e2e.process import up


def test_the_examples_of_the_client_work_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    publish = next(text for kind, text in blocks("README.md") if "definitions publish" in text)
    with up(tmp_path / "data") as service:
        _, opened, waited, gone_on, many, again, without = run(
            [("sh", publish), *blocks("docs/client.md")], service, tmp_path
        )
    inputs = "{'day': '2026-03-01', 'top': 10}"
    assert opened == f"PENDING {inputs}\ndisk full on node 7\n"
    types = [line.partition(" ")[2] for line in waited.splitlines()]
    assert types == ["TaskExecutionCreated", "TaskExecutionStarted", "TaskExecutionSucceeded", "SUCCESS"]
    assert waited.endswith("True SUCCESS\n")
    assert gone_on == "False\n"  # and no word of the attempts
    assert "Z disk full on node 7" in many
    assert "FAILURE" in many
    assert "runMsP95" in many
    assert again == "True {'day': '2026-03-01', 'top': 5}\n"
    assert '"outcome": "accepted"' in without
