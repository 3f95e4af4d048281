"""At the end: what HTTP answers is what the events add up to, folded by the public rules."""

import json
import time
from collections import Counter, defaultdict
from typing import Any, Final

import httpx2

from tests.fuzz.ledger import Ledger
from tests.fuzz.topics import EVENTS, PARTITIONS, Follower

_STATUSES: Final = ("PENDING", "RUNNING", "SUCCESS", "FAILURE", "STOPPED", "SKIPPED")
_SECONDS: Final = 60.0
_SOME: Final = 150
_OURS: Final = ("commandId", "commandHash")
"""What an event has for the write side only: the history does without."""


class EndCheck:
    """Reads all events once more, and compares."""

    def __init__(self, servers: str, url: str, ledger: Ledger) -> None:
        self._ledger = ledger
        self._http = httpx2.Client(base_url=f"{url}/api/v1", timeout=_SECONDS)
        self._lives: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        follower = Follower(servers, EVENTS, PARTITIONS)
        self._ends = dict.fromkeys(range(PARTITIONS), -1)
        for event in follower.read():
            self._lives[(event.key or b"").decode()].append((event.text("ce_type"), json.loads(event.value or b"{}")))
            self._ends[event.partition] = event.offset
        follower.close()

    def run(self) -> int:
        """Note all differences; the number of executions."""
        for partition, offset in self._ends.items():
            if offset >= 0:
                self._get("/task-execution-stats", minPosition=f"{partition}:{offset}")
        self._check_counts()
        for id_, life in sorted(self._lives.items())[:: max(1, len(self._lives) // _SOME)]:
            self._check_one(id_, life)
        self._check_pages()
        self._http.close()
        return len(self._lives)

    def _get(self, path: str, **query: str) -> Any:
        until = time.monotonic() + _SECONDS
        while True:
            answer = self._http.get(path, params=query)
            if answer.status_code == httpx2.codes.OK:
                return answer.json()
            if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE or time.monotonic() > until:
                self._ledger.blame("end: not answered", f"{path} {query}: {answer.status_code} {answer.text[:300]}")
                return {}

    def _check_counts(self) -> None:
        counts = Counter(life[-1][1]["status"] for life in self._lives.values())
        stats = self._get("/task-execution-stats")
        found = {status: stats.get(status.lower()) for status in _STATUSES}
        if found != {status: counts[status] for status in _STATUSES} or stats.get("total") != len(self._lives):
            self._ledger.blame("end: stats do not add up", f"{stats}, not {dict(counts)}")
        for status in _STATUSES:
            page = self._get("/task-executions", status=status, pageSize="1")
            if page.get("total") != counts[status]:
                self._ledger.blame("end: total of a status", f"{status}: {page.get('total')}, not {counts[status]}")
        creators = Counter(life[0][1]["createdBy"] for life in self._lives.values())
        for creator, count in [*creators.items()][:60]:
            if creator != creator.strip() or len(creator) > 255:
                continue
            page = self._get("/task-executions", createdBy=creator, pageSize="1")
            if page.get("total") != count:
                self._ledger.blame("end: total of a creator", f"{creator!r}: {page.get('total')}, not {count}")

    def _check_one(self, id_: str, life: list[tuple[str, dict[str, Any]]]) -> None:
        history = self._get(f"/task-executions/{id_}/history")
        kept = [(type_, {name: body[name] for name in body if name not in _OURS}) for type_, body in life]
        if [(item["type"], item["data"]) for item in history.get("items", ())] != kept:
            self._ledger.blame("end: history is not the events", id_)
        if [body["sequence"] for _, body in life] != [*range(1, len(life) + 1)]:
            self._ledger.blame("end: sequence has gaps", id_)
        found = self._get(f"/task-executions/{id_}")
        wanted = _fold(life)
        told = {name: found.get(name) for name in wanted}
        if told != wanted:
            wrong = {name: (told[name], wanted[name]) for name in wanted if told[name] != wanted[name]}
            self._ledger.blame("end: not what the events add up to", f"{id_}: {str(wrong)[:400]}")

    def _check_pages(self) -> None:
        seen: Counter[str] = Counter()
        query = {"pageSize": "50"}
        while True:
            page = self._get("/task-executions", **query)
            seen.update(item["id"] for item in page.get("items", ()))
            if not page.get("nextCursor"):
                break
            query["cursor"] = page["nextCursor"]
        if set(seen) != set(self._lives) or set(seen.values()) - {1}:
            self._ledger.blame("end: pages hold not every execution once", f"{len(seen)} of {len(self._lives)}")


def _fold(life: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    newest = life[-1][1]
    payload: dict[str, Any] = {}
    for _, body in life:
        payload |= {
            name: body[name] for name in ("resolvedInputs", "outputs", "errorMessage", "skipReason") if name in body
        }
    return {
        "id": newest["executionId"], "taskId": newest["taskId"], "taskVersion": newest["taskVersion"],
        "status": newest["status"], "startedAt": newest.get("startedAt"), "completedAt": newest.get("completedAt"),
        "resolvedInputs": payload.get("resolvedInputs"), "outputs": payload.get("outputs"),
        "errorMessage": payload.get("errorMessage"), "skipReason": payload.get("skipReason"),
        "metadata": {
            "createdAt": newest["createdAt"], "createdBy": newest["createdBy"], "tags": newest["tags"],
            **({"sparkApplicationId": newest["sparkApplicationId"]} if "sparkApplicationId" in newest else {}),
        },
    }  # fmt: skip
