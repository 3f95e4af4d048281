"""Command records: each a valid one with up to three mutations, told by a short recipe that makes it anew."""

import json
import uuid
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from tests.fuzz.definitions import TASK, VERSION
from tests.fuzz.mutations import MUTATIONS, Draft, mutations
from tests.fuzz.wire import Header, Raw

NAMESPACE: Final = uuid.UUID("6f1b2c0e-5d0b-5c8e-9a55-0d5f1f1c7f6a")
"""Of executionIds: the UUIDv5 of a command's source and id, with a newline between them."""

SOURCE: Final = "/fuzz"
REPLIES: Final = "task-execution.replies"
OWN_REPLIES: Final = f"{REPLIES}.fuzz"
CLOUDEVENT: Final = b"application/cloudevents+json"

TYPES: Final[dict[str, dict[str, Any]]] = {
    "ExecuteTask": {"taskId": TASK, "taskVersion": VERSION, "inputs": {"n": 1}, "createdBy": "maria", "tags": ["a"]},
    "StartTaskExecution": {"sparkApplicationId": "spark-1"},
    "SucceedTaskExecution": {"outputs": {"sum": 1}},
    "FailTaskExecution": {"errorMessage": "disk full"},
    "StopTaskExecution": {"requestedBy": "maria", "reason": "enough"},
    "SkipTaskExecution": {"reason": "upstream_failed", "node": "collect"},
}
"""Every command with a valid body, the executionId left out."""


@dataclass(frozen=True)
class Recipe:
    """What makes a record; `target` is the execution it is about, those without an `own_id` share one."""

    type: str
    target: int
    key: str
    reply_to: str | None
    own_id: bool = True
    structured: bool = False
    mutations: tuple[tuple[str, str, int], ...] = ()


def execution_id(run: str, target: int) -> str:
    """The execution that the ExecuteTask with this target makes, if it is valid."""
    return str(uuid.uuid5(NAMESPACE, f"{SOURCE}\n{run}-{target}"))


def make(recipe: Recipe, run: str, number: int, now: int) -> Raw:
    """The record; `run` and `number` make its names unique, `now` is its time in epoch milliseconds."""
    about = execution_id(run, recipe.target)
    id_ = f"{run}-{recipe.target}" if recipe.type == "ExecuteTask" else f"{run}-n{number if recipe.own_id else 0}"
    body = dict(TYPES[recipe.type]) if recipe.type == "ExecuteTask" else {"executionId": about, **TYPES[recipe.type]}
    attributes = {"specversion": "1.0", "type": recipe.type, "source": SOURCE, "id": id_, "subject": about}
    headers: list[Header] = [(b"content-type", b"application/json")]
    headers += [(b"ce_" + name.encode(), text.encode()) for name, text in attributes.items()]
    if recipe.reply_to is not None:
        headers += [(b"reply_to", recipe.reply_to.encode()), (b"correlation_id", f"{run}/{number}".encode())]
    keys = {"execution": about.encode(), "none": None, "other": b"customer-7"}
    draft = Draft(headers, body, keys[recipe.key], now)
    if recipe.structured:
        draft.headers = [header for header in headers if not header[0].startswith(b"ce_")]
        draft.put(b"content-type", CLOUDEVENT)
        draft.body = {**attributes, "data": body}
    for kind, which, size in recipe.mutations:
        MUTATIONS[kind][1](draft, which, size)
    # An integer of 30 digits is written out; what is not JSON at all comes from `raw`.
    value = draft.raw[-1] if draft.raw else json.dumps(draft.body, ensure_ascii=False).encode(errors="replace")
    return Raw(draft.key, value, tuple(draft.headers), draft.timestamp)


def recipes(without: frozenset[str]) -> st.SearchStrategy[Recipe]:
    """Commands of a few executions, of which nearly half are valid."""
    count = st.sampled_from((0, 0, 0, 1, 1, 2, 3))
    return st.builds(
        Recipe,
        type=st.sampled_from(("ExecuteTask", *TYPES, *list(TYPES)[:3])),
        target=st.integers(0, 60),
        own_id=st.sampled_from((True, True, True, True, False)),
        structured=st.sampled_from((False, False, False, True)),
        key=st.sampled_from(("execution", "execution", "execution", "none", "other")),
        reply_to=st.sampled_from((REPLIES, REPLIES, OWN_REPLIES, None)),
        mutations=count.flatmap(lambda many: st.tuples(*[mutations(without)] * many)),
    )
