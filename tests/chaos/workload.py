"""What the client asks for: seeded lives of executions, with duplicates, impossible commands and mischief. Pure."""

import json
from dataclasses import replace
from random import Random
from typing import Any, Final

from service.domain.identity import command_id
from tests.chaos.drafts import REFUSE, SOURCE, TASK, Draft, draft
from tests.chaos.families import Families, Timed

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


class Workload:
    """An endless supply of commands. Those of one execution have one key, so that no partitioner reorders them."""

    def __init__(self, seed: int) -> None:
        self.versions = 0
        self._random, self._count = Random(seed), 0  # noqa: S311 - reproducible, not secret
        self._run = f"{seed}-{self._random.getrandbits(40):x}"
        self._live: list[list[Draft]] = []
        self._ended: list[Draft] = []  # the last commands of some lives that have ended
        self._families = Families(self._random, self._new_id)

    def next(self) -> Draft:
        """The next command: of a random execution that is under way, of a new one, or an old one again."""
        if self._ended and self._random.random() < 1 / 15:
            return self._random.choice(self._ended)
        if len(self._live) < _AT_ONCE and self._random.random() < 1 / 3:
            self._live.append(self._mischief() if self._random.random() < 1 / 12 else self._life())
        return self._continue()

    def family(self) -> list[Timed]:
        """Executions that wait for each other: their commands, each with the seconds after which to send it."""
        return self._families.next(self._random.randrange(self.versions))

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
        drafts = [draft("ExecuteTask", id_, execution, body, key, like_java=like_java)]
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
        own = draft(kind, self._new_id(), execution, {"executionId": execution, **bodies[kind]}, "")
        return replace(own, key=first.key, like_java=first.like_java)

    def _conflict(self, known: Draft) -> Draft:
        """Another command under the same id."""
        headers = dict(known.headers) | {"ce_type": b"StopTaskExecution"}
        body = {"executionId": headers["ce_subject"].decode(), "reason": "no"}
        return replace(known, value=json.dumps(body).encode(), headers=tuple(headers.items()))

    def _mischief(self) -> list[Draft]:
        id_ = self._new_id()
        execution = command_id(SOURCE, id_)
        body: dict[str, Any] = {"taskId": TASK, "taskVersion": "1.0.0", "inputs": {"url": "s3://x"}}
        good = draft("ExecuteTask", id_, execution, body, None)
        wrong = self._random.choice((
            replace(good, value=None),
            replace(good, value=b'{"taskId": "chaos:resize", "inputs"'),
            replace(good, headers=(*good.headers, ("CE_Type", b"ExecuteTask"))),
            replace(good, headers=tuple({**dict(good.headers), "ce_source": b"\xff\xfe"}.items())),
            draft("ExecuteTask", id_, execution, {**body, "taskVersion": "9.9.9"}, execution),
            draft("ExecuteTask", id_, execution, {**body, "inputs": {"width": "wide"}}, execution),
            draft("BeginTask", id_, execution, body, execution),
            draft("StartTaskExecution", id_, _UNKNOWN, {"executionId": _UNKNOWN}, f"customer-{self._count % 50}"),
        ))  # fmt: skip
        return [replace(wrong, headers=(*wrong.headers, (REFUSE, b"1")))]

    def _new_id(self) -> str:
        self._count += 1
        return f"{self._run}-{self._count}"
