"""Reading recorded workflows, and how their runs must end."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.contracts.status import Status
from service.demo.recordings import RecordingError, UnknownTaskError, read_recording
from tests.recorded import below, each_recording, places, recorded, tasks_in


def task(id_: str, *parents: str, children: tuple[str, ...] = (), name: str | None = None) -> dict[str, Any]:
    return {"id": id_, "name": name or id_, "parents": [*parents], "children": [*children]}


DIAMOND = [
    task("d", "b", "c"),
    task("a", children=("b", "c")),
    task("b", "a", children=("d",)),
    task("c", "a", children=("d",)),
]


def file(tasks: list[dict[str, Any]], **more: Any) -> bytes:
    runs = [{"id": one["id"], "runtimeInSeconds": 7} for one in tasks]
    workflow = {"specification": {"tasks": tasks, "files": []}, "execution": {"tasks": runs, "makespanInSeconds": 1}}
    return json.dumps({"name": "a workflow", "schemaVersion": "1.5", "workflow": workflow} | more).encode()


def flaws_of(raw: bytes) -> list[str]:
    with pytest.raises(RecordingError) as caught:
        read_recording(raw)
    return [*caught.value.flaws]


def test_parents_come_first_and_have_their_runtimes() -> None:
    recording = read_recording(file(DIAMOND))
    assert recording.name == "a workflow"
    assert next(iter(recording.tasks)) == "a"
    assert [*recording.tasks][-1] == "d"
    assert recording.tasks["d"].parents == ("b", "c")
    assert recording.tasks["d"].runtime == 7.0


def test_what_was_never_run_has_no_runtimes() -> None:
    raw = file([], workflow={"specification": {"tasks": DIAMOND}})
    assert {one.runtime for one in read_recording(raw).tasks.values()} == {0.0}


@pytest.mark.parametrize(
    ("failing", "ends"),
    [
        (set(), "SSSS"),
        ({"a"}, "FKKK"),
        ({"b"}, "SFSK"),
        ({"d"}, "SSSF"),
        ({"b", "d"}, "SFSK"),  # d never gets to fail
    ],
)
def test_what_is_below_one_that_fails_is_skipped(failing: set[str], ends: str) -> None:
    letters = {Status.SUCCESS: "S", Status.FAILURE: "F", Status.SKIPPED: "K"}
    outcome = read_recording(file(DIAMOND)).outcome(failing)
    assert "".join(letters[outcome[name]] for name in "abcd") == ends


@each_recording()
def test_real_recordings_end_as_a_search_along_their_edges_says(file: Path) -> None:
    recording, tasks = recorded(file), tasks_in(file)
    assert len(recording.tasks) == len(tasks)
    assert sum(one.runtime for one in recording.tasks.values()) > 0
    for id_ in places(tasks).values():
        outcome = recording.outcome({recording.find(id_)})
        skipped = {name for name, status in outcome.items() if status is Status.SKIPPED}
        assert skipped == {recording.find(one) for one in below(tasks, id_)}
        assert outcome[recording.find(id_)] is Status.FAILURE


def test_names_stand_for_tasks_where_they_are_distinct_else_ids_do() -> None:
    named = read_recording(file([task("1", name="one", children=("2",)), task("2", "1", name="two")]))
    assert [*named.tasks] == ["one", "two"]
    assert named.tasks["two"].parents == ("one",)
    assert [named.find("two"), named.find("2")] == ["two", "two"]
    alike = read_recording(
        file([task("1", name="x", children=("2", "3")), task("2", "1", name="x"), task("3", "1", name="y")])
    )
    assert [*alike.tasks] == ["1", "2", "3"]
    assert alike.find("y") == "3"
    with pytest.raises(UnknownTaskError, match=r"Several tasks have the name x\. Give the id of one: 1, 2\."):
        alike.find("x")


def test_an_unknown_task_is_told_with_those_that_are_near() -> None:
    recording = read_recording(file([task("blastall_ID1"), task("cat_blast_ID2")]))
    with pytest.raises(UnknownTaskError, match=r"no task 'blastal_ID1'\. Did you mean blastall_ID1"):
        recording.find("blastal_ID1")
    with pytest.raises(UnknownTaskError, match=r"It has blastall_ID1, cat_blast_ID2\."):
        recording.find("?")


@pytest.mark.parametrize(
    ("raw", "flaw"),
    [
        (b"{", "#: "),
        (b"[]", "#: must be an object"),
        (b"{}", "#/schemaVersion: required, but missing"),
        (file(DIAMOND, schemaVersion="1.4"), "#/schemaVersion: must be '1.5'"),
        (file([]), "#/workflow/specification/tasks: must have at least 1 item, not 0"),
        (file([task("a"), task("a")]), "#/workflow/specification/tasks/1/id: a is the id of several tasks"),
        (file([task("a", "b")]), "#/workflow/specification/tasks/0/parents/0: there is no task with the id b"),
        (
            file([task("a", children=("b",)), task("b")]),
            "#/workflow/specification/tasks/0/children/0: b does not say so: parents and children must agree",
        ),
        (
            file([task("a"), task("b", "a")]),
            "#/workflow/specification/tasks/1/parents/0: a does not say so: parents and children must agree",
        ),
        (file([task("a" * 256)]), "#/workflow/specification/tasks/0/name: must have at most 255 characters"),
        (
            file([task("a", "b", children=("b",)), task("b", "a", children=("a",))]),
            "tasks wait for each other: ",
        ),
        (file([task("a", "a", children=("a",))]), "tasks wait for each other: a -> a"),
        (
            file([], workflow={"specification": {"tasks": [task("a")]}, "execution": {"tasks": [{"id": "a"}]}}),
            "#/workflow/execution/tasks/0/runtimeInSeconds: required, but missing",
        ),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_told_with_its_place(raw: bytes, flaw: str) -> None:
    assert any(found.startswith(flaw) for found in flaws_of(raw)), flaws_of(raw)
