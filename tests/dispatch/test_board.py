"""What can start is matched with who waits; nothing that can start is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from service.dispatch.board import Board, Poll, Ready

A, B = "etl:a", "etl:b"
FEW = 20


def ready(name: int, task_id: str = A, version: str = "1.0.0", body: bytes | None = None) -> Ready:
    return Ready(f"{task_id}/{name}", task_id, version, name, body)


def poll(*tasks: str, version: str | None = None) -> tuple[Poll, list[str]]:
    got: list[str] = []
    return Poll({task: [version] for task in tasks or (A,)}, lambda given: got.append(given.execution_id)), got


def asked(board: Board, *tasks: str, version: str | None = None) -> list[str]:
    asker, got = poll(*tasks, version=version)
    board.ask(asker)
    return got


def read(board: Board, *stored: Ready, whole: bool = True) -> None:
    """Everything that is asked of the store is answered."""
    for task_id in sorted(board.begin_reading(100)):
        board.fill(task_id, [one for one in stored if one.task_id == task_id], whole=whole)


def known(*tasks: str, limit: int = 8) -> Board:
    """A board that knows all of these tasks, of which nothing can start yet."""
    board = Board(limit)
    asker, _ = poll(*tasks)
    board.ask(asker)
    board.withdraw(asker)
    read(board)
    return board


def test_what_can_start_later_goes_to_who_has_waited_longest() -> None:
    board = known(A)
    first, second = asked(board), asked(board)
    board.add(ready(1))
    assert (first, second) == (["etl:a/1"], [])
    board.add(ready(2))
    assert (first, second) == (["etl:a/1"], ["etl:a/2"])


def test_who_comes_later_gets_the_oldest_of_all_the_tasks() -> None:
    board = known(A, B)
    for one in (ready(3), ready(1, B), ready(2)):
        board.add(one)
    assert [asked(board, A, B)[0] for _ in range(3)] == ["etl:b/1", "etl:a/3", "etl:a/2"]


def test_one_execution_wakes_one() -> None:
    board = known(A)
    everybody = [asked(board) for _ in range(100)]
    board.add(ready(1))
    assert [len(one) for one in everybody] == [1] + [0] * 99
    assert board.waiting == 99


def test_a_version_goes_only_to_who_can_run_it() -> None:
    board = known(A)
    old, new = asked(board, version="<2"), asked(board, version=">=2")
    board.add(ready(1, version="2.1.0"))
    assert (old, new) == ([], ["etl:a/1"])
    board.add(ready(2, version="2.2.0"))
    board.add(ready(3, version="1.9.0"))
    assert old == ["etl:a/3"]
    assert asked(board, version="1.x") == []
    assert asked(board, version="2.x") == ["etl:a/2"]


def test_what_has_started_is_given_to_nobody() -> None:
    board = known(A)
    board.add(ready(1))
    board.remove("etl:a/1")
    assert asked(board) == []


def test_who_went_away_is_given_nothing() -> None:
    board = known(A)
    asker, got = poll()
    board.ask(asker)
    board.withdraw(asker)
    board.add(ready(1))
    assert got == []
    assert asked(board) == ["etl:a/1"]


def test_what_could_not_be_started_for_one_is_the_next_ones() -> None:
    board = known(A)
    board.add(ready(1))
    board.add(ready(2))
    assert asked(board) == ["etl:a/1"]
    board.back(ready(1))
    assert asked(board) == ["etl:a/1"]
    board.remove("etl:a/1")  # it has started after all
    board.back(ready(1))
    assert asked(board) == ["etl:a/2"]


def test_what_was_there_before_anybody_asked_is_read() -> None:
    board = Board()
    first, second = asked(board, A), asked(board, A, B)
    read(board, ready(1), ready(2), ready(3, B))
    assert (first, second) == (["etl:a/1"], ["etl:a/2"])
    assert asked(board, B) == ["etl:b/3"]


def test_what_happens_while_the_store_is_read_counts_more_than_what_is_read() -> None:
    board = Board()
    asker, _ = poll()
    board.ask(asker)
    board.withdraw(asker)
    assert board.begin_reading(100) == [A]
    board.remove("etl:a/1")
    board.add(ready(4, body=b"{}"))
    board.add(ready(3))
    assert asked(board) == ["etl:a/4"]
    board.fill(A, [ready(1), ready(2), ready(4)], whole=True)
    assert [asked(board) for _ in range(3)] == [["etl:a/2"], ["etl:a/3"], []]


def test_what_had_to_wait_and_can_start_while_the_store_is_read_is_kept() -> None:
    board = Board()
    asker, got = poll()
    board.ask(asker)
    assert board.begin_reading(100) == [A]
    board.add(ready(1))
    board.lost(ready(1))  # it must wait
    board.add(ready(1))
    board.ask(asker)
    board.fill(A, [], whole=True)
    assert got == ["etl:a/1", "etl:a/1"]


def test_more_than_fits_is_read_when_little_is_left() -> None:
    board = known(A, limit=8)
    for number in range(FEW):
        board.add(ready(number))
    assert len(board) == 8
    assert not board.short
    got = [asked(board)[0] for _ in range(6)]
    assert board.short == {A}
    read(board, *(ready(number) for number in range(6, FEW)), whole=False)
    got += [asked(board)[0] for _ in range(6)]
    read(board, *(ready(number) for number in range(12, FEW)))
    got += [asked(board)[0] for _ in range(8)]
    assert got == [f"etl:a/{number}" for number in range(FEW)]
    board.add(ready(FEW))
    assert asked(board) == [f"etl:a/{FEW}"]


def test_a_reading_that_has_to_wait_for_long_begins_anew() -> None:
    board = Board()
    asker, _ = poll()
    board.ask(asker)
    board.withdraw(asker)
    board.begin_reading(9)
    board.add(ready(1))
    for number in range(3):
        board.remove(f"etl:a/{number}")
    assert not board.begin_anew(most=3)
    assert board.begin_anew(most=2)
    board.remove("etl:a/7")
    board.fill(A, [ready(7), ready(8)], whole=True)
    assert [asked(board) for _ in range(2)] == [["etl:a/8"], []]


def test_after_a_gap_everything_is_read_again() -> None:
    board = known(A, B)
    board.add(ready(1))
    board.unknown()
    assert board.short == {A, B}
    read(board, ready(1), ready(2))
    assert [asked(board) for _ in range(2)] == [["etl:a/1"], ["etl:a/2"]]


def test_of_too_many_tasks_only_those_are_kept_that_somebody_waits_for() -> None:
    board = Board(most_tasks=3)
    waiting = asked(board, "etl:wanted")
    for number in range(10):
        asker, _ = poll(f"etl:{number}")
        board.ask(asker)
        board.withdraw(asker)
        read(board, ready(1, f"etl:{number}"))
    assert len(board) <= 3
    board.add(ready(1, "etl:wanted"))
    assert waiting == ["etl:wanted/1"]


def test_what_is_preferred_comes_first_and_then_the_oldest() -> None:
    board = Board(prefers=lambda id_: id_.endswith(("3", "4")))
    assert asked(board) == []
    board.withdraw(next(iter(board._polls)))
    read(board, *(ready(number) for number in range(6)))
    assert [asked(board)[0][-1] for _ in range(6)] == ["3", "4", "0", "1", "2", "5"]


def test_bodies_are_kept_as_long_as_they_fit() -> None:
    board = known(A)
    given: list[Ready] = []
    for number in range(3):
        board.add(ready(number, body=b"x" * (30 << 20)))
    for _ in range(3):
        board.ask(Poll({A: [None]}, given.append))
    assert [one.body is not None for one in given] == [True, True, False]


@given(st.lists(st.tuples(st.sampled_from(["add", "start", "ask", "back", "read", "gap"]), st.integers(0, 30))))
def test_nothing_that_can_start_is_forgotten(steps: list[tuple[str, int]]) -> None:  # noqa: C901 - one case for each step
    """Whatever happens: at last, who asks is given all that can start, and never what has started."""
    board = known(A, limit=4)
    can_start: dict[str, Ready] = {}
    held: list[Ready] = []
    started: set[int] = set()
    for step, number in steps:
        one = ready(number)
        match step:
            case "add" if number not in started and one.execution_id not in can_start:
                can_start[one.execution_id] = one
                board.add(one)
            case "start":
                started.add(number)
                can_start.pop(one.execution_id, None)
                board.remove(one.execution_id)
            case "ask":
                asker = Poll({A: [None]}, held.append)
                board.ask(asker)
                board.withdraw(asker)
            case "back" if held:
                board.back(held.pop())
            case "read":
                stored = sorted(can_start.values(), key=lambda found: found.created_ms)[:4]
                read(board, *stored, whole=len(stored) < 4)
            case "gap":
                board.unknown()
                held.clear()
            case _:
                pass
    for one in held:
        board.back(one)
    given: list[Ready] = []
    while True:
        read_now = [found for found in can_start.values() if found not in given]
        stored = sorted(read_now, key=lambda found: found.created_ms)[:4]
        read(board, *stored, whole=len(stored) < 4)
        before = len(given)
        asker = Poll({A: [None]}, given.append)
        board.ask(asker)
        board.withdraw(asker)
        if len(given) == before:
            break
        board.remove(given[-1].execution_id)
    assert {found.execution_id for found in given} == can_start.keys()
    assert len(given) == len(can_start)
