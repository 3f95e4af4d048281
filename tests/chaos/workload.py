"""What the client asks for: seeded lives of executions, with duplicates, impossible commands and mischief. Pure."""

import json
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from service.domain.identity import command_id

SOURCE: Final = "/chaos/client"
TASK: Final = "chaos:resize"
REFUSE: Final = "chaos_refuse"
"""The header of a command that must be refused whatever came before it."""

_LIVES: Final = (
    (),
    ("StartTaskExecution",),
    ("StartTaskExecution", "SucceedTaskExecution"),
    ("StartTaskExecution", "SucceedTaskExecution"),
    ("StartTaskExecution", "FailTaskExecution"),
    ("StartTaskExecution", "StopTaskExecution"),
    ("StopTaskExecution",),
    ("SkipTaskExecution",),
)
_AFTERWARDS: Final = ("StartTaskExecution", "SucceedTaskExecution", "FailTaskExecution", "SkipTaskExecution")
_UNKNOWN: Final = "00000000-0000-5000-8000-000000000000"
_AT_ONCE: Final = 200
_ENDED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Draft:
    """A command record. `like_java`: placed as Java's clients do it, at its owner; else as librdkafka does."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    like_java: bool = False


def definition(version: int) -> dict[str, Any]:
    """A published definition, as its owner would write it; versions differ in nothing else."""
    return {
        "taskId": TASK, "version": f"1.0.{version}", "status": "PUBLISHED", "type": "pyspark_operator",
        "inputVariables": [
            {"name": "url", "type": "string"},
            {"name": "width", "type": "number", "required": False, "defaultValue": 640},
        ],
        "outputVariables": [{"name": "bytes", "type": "number"}],
    }  # fmt: skip


class Workload:
    """An endless supply of commands. Those of one execution have one key, so that no partitioner reorders them."""

    def __init__(self, seed: int) -> None:
        self.versions = 0
        self._random, self._count = Random(seed), 0  # noqa: S311 - reproducible, not secret
        self._run = f"{seed}-{self._random.getrandbits(40):x}"
        self._live: list[list[Draft]] = []
        self._ended: list[Draft] = []  # the last commands of some lives that have ended

    def next(self) -> Draft:
        """The next command: of a random execution that is under way, of a new one, or an old one again."""
        if self._ended and self._random.random() < 1 / 15:
            return self._random.choice(self._ended)
        if len(self._live) < _AT_ONCE and self._random.random() < 1 / 3:
            self._live.append(self._mischief() if self._random.random() < 1 / 12 else self._life())
        return self._continue()

    def rest(self) -> list[Draft]:
        """What is left of the lives that have begun."""
        drafts = []
        while self._live:
            drafts.append(self._continue())
        return drafts

    def _continue(self) -> Draft:
        if not self._live:
            self._live.append(self._life())
        index = self._random.randrange(len(self._live))
        life = self._live[index]
        draft = life.pop(0)
        if not life:
            if len(self._ended) < _ENDED:
                self._ended.append(draft)
            else:
                self._ended[self._random.randrange(_ENDED)] = draft
            self._live[index] = self._live[-1]
            self._live.pop()
        return draft

    def _life(self) -> list[Draft]:
        random, id_ = self._random, self._new_id()
        execution = command_id(SOURCE, id_)
        key = execution if random.random() < 0.8 else f"customer-{random.randrange(50)}"
        like_java = key == execution and random.random() < 0.5
        body = {
            "taskId": TASK,
            "taskVersion": f"1.0.{random.randrange(self.versions)}",
            "inputs": {"url": f"s3://{id_}"},
        }
        drafts = [_draft("ExecuteTask", id_, execution, body, key, like_java=like_java)]
        for kind in random.choice(_LIVES):
            drafts.append(self._lifecycle(kind, drafts[0], execution))
            chance = random.random()
            if chance < 0.10:
                drafts.append(random.choice(drafts))
            elif chance < 0.15:
                drafts.append(self._lifecycle(random.choice(_AFTERWARDS), drafts[0], execution))
            elif chance < 0.17:
                drafts.append(self._conflict(random.choice(drafts)))
        return drafts

    def _lifecycle(self, kind: str, first: Draft, execution: str) -> Draft:
        bodies: dict[str, dict[str, Any]] = {
            "StartTaskExecution": {"sparkApplicationId": f"spark-{self._count}"},
            "SucceedTaskExecution": {"outputs": {"bytes": self._random.randrange(10**6)}},
            "FailTaskExecution": {"errorMessage": "disk full"},
            "StopTaskExecution": {"requestedBy": "somebody", "reason": f"reason {self._count}"},
            "SkipTaskExecution": {"reason": "upstream_failed", "node": "collect_data"},
        }
        draft = _draft(kind, self._new_id(), execution, {"executionId": execution, **bodies[kind]}, "")
        return replace(draft, key=first.key, like_java=first.like_java)

    def _conflict(self, known: Draft) -> Draft:
        """Another command under the same id."""
        headers = dict(known.headers) | {"ce_type": b"StopTaskExecution"}
        body = {"executionId": headers["ce_subject"].decode(), "reason": "no"}
        return replace(known, value=json.dumps(body).encode(), headers=tuple(headers.items()))

    def _mischief(self) -> list[Draft]:
        id_ = self._new_id()
        execution = command_id(SOURCE, id_)
        body: dict[str, Any] = {"taskId": TASK, "taskVersion": "1.0.0", "inputs": {"url": "s3://x"}}
        good = _draft("ExecuteTask", id_, execution, body, None)
        wrong = self._random.choice((
            replace(good, value=None),
            replace(good, value=b'{"taskId": "chaos:resize", "inputs"'),
            replace(good, headers=(*good.headers, ("CE_Type", b"ExecuteTask"))),
            replace(good, headers=tuple({**dict(good.headers), "ce_source": b"\xff\xfe"}.items())),
            _draft("ExecuteTask", id_, execution, {**body, "taskVersion": "9.9.9"}, execution),
            _draft("ExecuteTask", id_, execution, {**body, "inputs": {"width": "wide"}}, execution),
            _draft("BeginTask", id_, execution, body, execution),
            _draft("StartTaskExecution", id_, _UNKNOWN, {"executionId": _UNKNOWN}, f"customer-{self._count % 50}"),
        ))  # fmt: skip
        return [replace(wrong, headers=(*wrong.headers, (REFUSE, b"1")))]

    def _new_id(self) -> str:
        self._count += 1
        return f"{self._run}-{self._count}"


def _draft(  # noqa: PLR0913 - one for each part of a record
    type_: str, id_: str, execution: str, body: dict[str, Any], key: str | None, *, like_java: bool = False
) -> Draft:
    headers = {"ce_specversion": "1.0", "ce_id": id_, "ce_source": SOURCE, "ce_type": type_, "ce_subject": execution}
    value = json.dumps(body).encode()
    encoded = tuple((name, text.encode()) for name, text in headers.items())
    return Draft(key.encode() if key is not None else None, value, encoded, like_java=like_java)
