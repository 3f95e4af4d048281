"""The client that waits: the same methods, from threads and without a loop."""

import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from service.client import ConflictError, TaskExecutions, sync
from service.contracts.problems import Code, problem
from service.contracts.replies import CommandReply, Outcome
from tests.api.scripted import ID
from tests.cli.conftest import Service, serving
from tests.client.programs import run_strictly

TASK = ("sales:daily_report", "1.2.0", {"day": "2026-03-01"})


@pytest.fixture
def service() -> Iterator[Service]:
    """Scripted, behind the real API."""
    running = Service()
    with serving(running.commands, running.queries) as running.url:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[sync.TaskExecutions]:
    with sync.TaskExecutions.over_http(service.url) as client:
        yield client


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("task-executions")]


def test_it_has_every_method_with_its_signature_and_words() -> None:
    def public(of: type) -> set[str]:
        return {name for name, value in vars(of).items() if not name.startswith("_") and callable(value)}

    assert public(sync.TaskExecutions) - {"close"} == public(TaskExecutions)
    for name in public(TaskExecutions) - {"over_http", "over_kafka"}:
        asks, waits = getattr(TaskExecutions, name), getattr(sync.TaskExecutions, name)
        assert inspect.signature(asks).parameters.keys() == inspect.signature(waits).parameters.keys()
        assert asks.__doc__ == waits.__doc__
    for name in ("over_http", "over_kafka"):
        assert inspect.signature(getattr(TaskExecutions, name)) == inspect.signature(getattr(sync.TaskExecutions, name))


def test_it_waits_for_answers_and_raises_what_they_raise(service: Service, client: sync.TaskExecutions) -> None:
    assert client.execute(*TASK, idempotency_key="monday").id == ID
    assert client.get(ID).status == "PENDING"
    assert client.stats(task_id="sales:daily_report").total == 21
    service.commands.answer = CommandReply(
        outcome=Outcome.REJECTED, problem=problem(Code.INVALID_TRANSITION, "It has ended.")
    )
    with pytest.raises(ConflictError, match="It has ended"):
        client.start(ID)
    assert [one.id for one in service.commands.submitted] == ["monday", service.commands.submitted[1].id]


def test_lists_are_iterators(client: sync.TaskExecutions) -> None:
    listed = client.list(task_id="sales:daily_report")
    assert next(listed).id == ID
    listed.close()


def test_threads_share_one(service: Service, client: sync.TaskExecutions) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [*pool.map(lambda _: client.execute(*TASK).id, range(40))]
    assert (len(made), len({one.id for one in service.commands.submitted})) == (40, 40)


def test_the_trace_of_the_caller_goes_with_it(service: Service, client: sync.TaskExecutions) -> None:
    span = SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=TraceFlags(1))
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(span)))
    try:
        client.execute(*TASK)
    finally:
        context.detach(token)
    assert service.commands.submitted[0].trace == (("traceparent", f"00-{0xA1:032x}-{0xB2:016x}-01".encode()),)


def test_what_is_closed_says_so_and_leaves_no_thread(service: Service) -> None:
    client = sync.TaskExecutions.over_http(service.url)
    client.get(ID)
    assert threads()
    client.close()
    client.close()
    assert not threads()
    with pytest.raises(RuntimeError, match="Open a new one"):
        client.get(ID)


def test_what_cannot_be_opened_leaves_no_thread() -> None:
    with pytest.raises(ConnectionError, match="did not answer"):
        sync.TaskExecutions.over_kafka("127.0.0.1:1", "/tests")
    assert not threads()


def test_a_program_that_does_not_close_it_ends_without_a_word(service: Service) -> None:
    program = (
        "from service.client.sync import TaskExecutions\n"
        f"client = TaskExecutions.over_http({service.url!r})\n"
        f"print(next(client.list()).id, client.get({ID!r}).id)\n"
    )
    assert run_strictly(program) == (f"{ID} {ID}\n", "", 0)


def test_the_bare_install_is_enough(service: Service) -> None:
    """No extra, and no OpenTelemetry."""
    program = (
        "import sys\n"
        "for name in ('pandas', 'pyarrow', 'chdb', 'joserfc', 'opentelemetry'): sys.modules[name] = None\n"
        "from service.client.sync import TaskExecutions\n"
        f"with TaskExecutions.over_http({service.url!r}) as client:\n"
        f"    print(client.execute(*{TASK!r}).id, client.page().total)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr) == (f"{ID} 7\n", "")
    assert service.commands.submitted[0].trace == ()
