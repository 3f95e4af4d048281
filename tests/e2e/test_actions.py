"""Actions on many, on the whole service: what was seen is acted on, once, however often the request is sent."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2

from tests.client.service import INPUTS, TASK, VERSION, a_service

COUNT = 120


async def test_many_are_stopped_and_run_again_once(tmp_path: Path) -> None:
    async with a_service(tmp_path) as service, httpx2.AsyncClient(base_url=f"{service.url}/api/v1", timeout=60) as http:
        body = {"taskId": TASK, "taskVersion": VERSION, "inputs": INPUTS, "tags": ["bulk"]}
        made = await asyncio.gather(*(http.post("/task-executions", json=body) for _ in range(COUNT)))
        ids = {response.json()["id"] for response in made}

        async def all_are(status: str) -> None:
            """Pages of what is still being projected need not agree with each other."""
            wanted: dict[str, str | int] = {"tag": "bulk", "status": status, "pageSize": 1}
            while (await http.get("/task-executions", params=wanted)).json().get("total") != COUNT:
                await asyncio.sleep(0.1)

        async def select(action: str) -> set[str]:
            asked: dict[str, Any] = {"action": action, "filter": {"tag": ["bulk"]}, "dryRun": True, "limit": 50}
            found: set[str] = set()
            while True:
                answer = (await http.post("/task-executions/actions", json=asked)).json()
                found |= {*answer["executionIds"]}
                if "nextCursor" not in answer:
                    assert answer["matched"] == len(found)
                    return found
                asked["cursor"] = answer["nextCursor"]

        async def act(action: str, key: str) -> Any:
            order = {"action": action, "executionIds": sorted(ids), "requestedBy": "anna"}
            headers, accepted = {"Idempotency-Key": key}, 0
            while True:  # what was not answered in time is asked for again, as a client does
                answer = (await http.post("/task-executions/actions", json=order, headers=headers)).json()
                accepted += answer["accepted"]
                if not answer["unanswered"]:
                    return answer | {"accepted": accepted}

        async with asyncio.timeout(60):
            await all_are("PENDING")
            assert await select("stop") == ids
            first, again = await act("stop", "k1"), await act("stop", "k1")
            assert (first["accepted"], again["duplicates"]) == (COUNT, COUNT)
            await all_are("STOPPED")
            assert await select("rerun") == ids
            first, again = await act("rerun", "k2"), await act("rerun", "k2")
            assert (first["accepted"], again["duplicates"]) == (COUNT, COUNT)
            new = [item["newExecutionId"] for item in first["items"]]
            assert new == [item["newExecutionId"] for item in again["items"]]
            assert not ids & {*new}
            await all_are("PENDING")
            assert await select("skip") == {*new}
            one = (await http.get(f"/task-executions/{new[0]}")).json()
        assert (one["retryOf"], one["attempt"], one["resolvedInputs"]["day"]) == (min(ids), 2, INPUTS["day"])
        late = await http.post(f"/task-executions/{new[0]}/start", json={}, headers={"Prefer": "wait=30"})
        assert late.json()["resolvedInputs"] == one["resolvedInputs"]
