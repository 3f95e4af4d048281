"""What docs/api.md shows works, as a reader would run it, after what the README has them do."""

import json
import sys
from pathlib import Path

from tests.e2e.documents import blocks, run
from tests.e2e.process import up


def test_the_examples_of_the_api_work_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    publish = next(text for kind, text in blocks("README.md") if "definitions publish" in text)
    execute = next(text for kind, text in blocks("README.md") if "over_kafka" in text)
    shown = [(kind, text) for kind, text in blocks("docs/api.md") if kind == "sh"]
    with up(tmp_path / "data") as service:
        _, _, _, rehearsed, asked, acted, followed = run(
            [("sh", publish), ("python", execute), ("sh", FAIL), *shown], service, tmp_path
        )
    assert json.loads(rehearsed)["resolvedInputs"] == {"day": "2026-03-01", "top": 10}
    answer = json.loads(asked)
    assert (answer["matched"], answer["executionIds"]) == (1, ["cb6139b1-6563-526b-96b0-0e9d64f64bed"])
    (item,) = json.loads(acted)["items"]
    assert (item["outcome"], item["status"]) == ("accepted", "PENDING")
    assert followed.startswith("retry: 2000\nid: 0:")


ONE = '"$TASKEXEC_URL/api/v1/task-executions/cb6139b1-6563-526b-96b0-0e9d64f64bed'
FAIL = f"""
curl --silent --fail-with-body --json '{{}}' {ONE}/start"
curl --silent --fail-with-body --json '{{"errorMessage": "disk full"}}' {ONE}/fail"
"""
