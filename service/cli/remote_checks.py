"""What `taskexec doctor` checks of Kafka, ClickHouse and the API. It only looks: nothing is made or changed."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from service.cli.asking import Broker
from service.cli.environment import read_settings
from service.cli.exits import CommandError
from service.cli.findings import Finding, fail, ok, warn
from service.cli.kafka import ask_kafka
from service.cli.remote import PROJECTION, Remote
from service.cli.topics import flaws_of

if TYPE_CHECKING:
    from service.kafka.overview import TopicState
    from service.settings import Settings

_SKEW_SECONDS: Final = 5.0
_MUCH: Final = 10_000
_LOOPBACK: Final = "127.0.0.1"
_PORTS: Final = {"Kafka": (9092, "--kafka-port"), "the API": (8080, "--http-port")}


def remote_checks(remote: Remote, broker: Broker) -> Iterator[Finding]:
    """The API and what it tells, Kafka and the topics, ClickHouse, the ports that `up` would take."""
    used: set[tuple[str | None, int | None]] = set()
    api = [*_api(remote)]
    if api[0].level != "fail":
        url = urlsplit(remote.url)
        used.add((url.hostname, url.port))
    yield from api
    kafka = [*_kafka(broker)]
    if kafka[0].level != "fail":
        used |= {(host, int(port)) for host, _, port in (one.rpartition(":") for one in _servers(broker).split(","))}
    yield from kafka
    yield _clickhouse()
    yield from _ports(used)


def _api(remote: Remote) -> Iterator[Finding]:
    try:
        answer = remote.get("/readyz")
    except CommandError as error:
        if error.problem is None:
            yield fail(
                "api", error.lines[0], "Start it with `taskexec up` or `taskexec api`, or say where it is: --url."
            )
            return
        flaws = "; ".join(f"{one['pointer'][2:]}: {one['detail']}" for one in error.problem.get("errors", ()))
        yield fail("api", f"{remote.url} is not ready: {flaws}", "Its log, and docs/operations.md, say more.")
    else:
        parts = "; ".join(f"{name}: {detail}" for name, detail in answer.body["parts"].items())
        yield ok("api", f"{remote.url} is ready: {parts}")
        yield _clock(answer.date)
    yield _projection(remote)


def _clock(date: str | None) -> Finding:
    if date is None:
        return warn("clock", "the API does not tell the time", "Compare the clocks of the machines yourself.")
    skew = abs((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds())
    found = f"{skew:.0f} s from that of the API"
    if skew > _SKEW_SECONDS:
        return fail("clock", found, "Let NTP set the clocks: times of executions are those of the handlers.")
    return ok("clock", found)


def _projection(remote: Remote) -> Finding:
    try:
        status: Any = remote.get(PROJECTION).body
    except CommandError as error:
        return fail("projection", " ".join(error.lines), "Ask again when the API is ready.")
    found = f"{status['state']}, {status['lag']} offsets behind"
    if status["state"] == "NEVER_RAN":
        return fail("projection", found, "Start one: taskexec projector. Without it, nothing is listed.")
    if status["state"] != "FOLLOWING":
        return fail("projection", found, "See /readyz and the log of the projector, and whether ClickHouse answers.")
    if status["lag"] > _MUCH:
        return warn("projection", found, "It catches up by itself; lists and counts lack what is new until then.")
    return ok("projection", found)


def _kafka(broker: Broker) -> Iterator[Finding]:
    from service.kafka.overview import topic_states  # noqa: PLC0415 - seldom needed

    try:
        states = ask_kafka(broker, topic_states, "did not tell its topics")
    except CommandError as error:
        yield fail("kafka", error.lines[0], "Start it with `taskexec up`, or say where it is: KAFKA_BOOTSTRAP_SERVERS.")
        return
    yield ok("kafka", f"{_servers(broker)} answers")
    yield from _topics(states)


def _topics(states: "list[TopicState]") -> Iterator[Finding]:
    missing = [state.topic.name for state in states if not state.partitions]
    flaws = [flaw for state in states if state.partitions for flaw in flaws_of(state)]
    if missing:
        advice = "Each role makes what is missing when it starts: taskexec handler. Is TASKEXEC_PREFIX right?"
        yield fail("topics", f"missing: {', '.join(missing)}", advice)
    for flaw in flaws:
        what, _, advice = flaw.partition(": kafka-configs.sh")
        yield fail("topics", what, f"kafka-configs.sh{advice}")
    if not (missing or flaws):
        yield ok("topics", f"all {len(states)} are as they must be")
    for state in states:
        if state.behind is not None:
            found = f"{state.behind} commands are not handled yet"
            advice = "Start more: taskexec handler. If the number does not fall, see their log."
            yield ok("handlers", found) if state.behind < _MUCH else warn("handlers", found, advice)


def _clickhouse() -> Finding:
    import logging  # noqa: PLC0415 - seldom needed

    try:
        settings = read_settings()
    except CommandError:
        return warn("clickhouse", "not checked: the environment is not as it must be", "Mend that first.")
    if settings.clickhouse_dsn.startswith("chdb:"):
        return ok("clickhouse", "in the process of the service: its /readyz says how it is")
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # what it logs, we say better
    url = urlsplit(settings.clickhouse_dsn)
    return _tables(settings, f"{url.hostname}:{url.port or 8123}")  # the rest may hold a password


def _tables(settings: "Settings", where: str) -> Finding:
    import asyncio  # noqa: PLC0415 - seldom needed

    from service.bootstrap import OPERATOR_ERRORS, store_version  # noqa: PLC0415 - loads everything
    from service.ports.errors import UnavailableError  # noqa: PLC0415 - seldom needed

    try:
        version = asyncio.run(store_version(settings))
    except UnavailableError:
        if "CLICKHOUSE_DSN" not in os.environ:
            advice = "`taskexec up` has one of its own, which needs nothing; for the roles, set CLICKHOUSE_DSN."
            return warn("clickhouse", f"none at {where}", advice)
        return fail("clickhouse", f"{where} does not answer, or refuses us", "Start it, or correct CLICKHOUSE_DSN.")
    except OPERATOR_ERRORS as error:
        return fail("clickhouse", f"{where}: {error}", "docs/operations.md says more.")
    if version is None:
        return warn("clickhouse", f"{where} has no tables yet", "The projector makes them: taskexec projector.")
    return ok("clickhouse", f"{where} answers; {version}")


def _ports(used: set[tuple[str | None, int | None]]) -> Iterator[Finding]:
    from service.embedded.ports import is_listening  # noqa: PLC0415 - seldom needed

    for name, (port, option) in _PORTS.items():
        if (_LOOPBACK, port) in used:
            yield ok("ports", f"{port}: {name} listens")
        elif is_listening(_LOOPBACK, port):
            yield warn("ports", f"{port}: another program listens", f"`taskexec up` needs another one: {option} 0")
        else:
            yield ok("ports", f"{port} is free")


def _servers(broker: Broker) -> str:
    return broker["kafka_bootstrap_servers"]
