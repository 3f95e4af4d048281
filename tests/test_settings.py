import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.ports.retentions import Retentions
from service.settings import Settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.variables():
        monkeypatch.delenv(name, raising=False)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("CLICKHOUSE_DSN", "clickhouse://clickhouse:8123/default")
    monkeypatch.setenv("TASKEXEC_CLICKHOUSE_CLUSTER", "main")
    monkeypatch.setenv("TASKEXEC_RETENTION", "P90D")
    monkeypatch.setenv("TASKEXEC_PARTITIONS", "16")
    settings = Settings()
    assert settings.kafka_bootstrap_servers == "kafka:9092"
    assert settings.clickhouse_dsn == "clickhouse://clickhouse:8123/default"
    assert settings.clickhouse_cluster == "main"
    assert settings.retention == timedelta(days=90)
    assert settings.partitions == 16


def test_all_retentions_go_to_the_read_side(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, days in (("", 90), ("PAYLOAD_", 30), ("REJECTION_", 7)):
        monkeypatch.setenv(f"TASKEXEC_{name}RETENTION", f"P{days}D")
    assert Settings().retentions == Retentions(*(timedelta(days=days) for days in (90, 30, 7)))


@pytest.mark.parametrize("days", [29, 30, 31])
def test_payloads_are_kept_no_longer_than_their_execution(days: int) -> None:
    kept = {"retention": timedelta(days=30), "payload_retention": timedelta(days=days)}
    if days <= 30:
        assert Settings(**kept).payload_retention == timedelta(days=days)  # type: ignore[arg-type] # pydantic checks
        return
    with pytest.raises(ValidationError, match=r"TASKEXEC_PAYLOAD_RETENTION .* is longer than TASKEXEC_RETENTION"):
        Settings(**kept)  # type: ignore[arg-type] # the same


@pytest.mark.parametrize("name", ["retention", "payload_retention", "rejection_retention"])
def test_a_retention_is_at_least_a_day(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1 day"):
        Settings(**{name: timedelta(hours=23)})  # type: ignore[arg-type] # the same


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKEXEC_HTTP_PORT", "1")
    assert Settings(http_port=2).http_port == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_trust(host: str) -> None:
    assert Settings(http_host=host).http_host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.org"])  # noqa: S104 - refused
def test_elsewhere_only_when_told(host: str) -> None:
    with pytest.raises(ValidationError, match="TASKEXEC_TRUST_NETWORK=true"):
        Settings(http_host=host)
    assert Settings(http_host=host, trust_network=True).http_host == host


def test_unknown_variables_are_found() -> None:
    environment = {"TASKEXEC_PARTITION": "1", "TASKEXEC_PARTITIONS": "1", "TASKEXEC_URL": "", "HOME": "/"}
    assert Settings.unknown(environment) == ["TASKEXEC_PARTITION"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("", ()),
        ("api", ("api",)),
        ("Api.Example.org., task_api ,10.1.2.3,[FD00::1],", ("api.example.org", "task_api", "10.1.2.3", "fd00::1")),
        ("*", ("*",)),
    ],
)
def test_hosts_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch, given: str, names: tuple[str, ...]) -> None:
    monkeypatch.setenv("TASKEXEC_ALLOWED_HOSTS", given)
    assert Settings().allowed_hosts == names


@pytest.mark.parametrize("given", ["https://api", "api:8080", "api example.org", "*.example.org", '["api"]'])
def test_what_is_no_host_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("TASKEXEC_ALLOWED_HOSTS", given)
    with pytest.raises(ValidationError, match="is not a host: give names such as"):
        Settings()


@pytest.mark.parametrize(
    ("given", "servers"),
    [
        ("kafka:9092", "kafka:9092"),
        ("kafka-1:9092, kafka_2.example.org:19092,10.0.0.1:1", "kafka-1:9092,kafka_2.example.org:19092,10.0.0.1:1"),
        ("[fd00::1]:9092", "[fd00::1]:9092"),
    ],
)
def test_kafka_is_a_list_of_brokers(monkeypatch: pytest.MonkeyPatch, given: str, servers: str) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", given)
    assert Settings().kafka_bootstrap_servers == servers


@pytest.mark.parametrize("bad", ["", "kafka", "kafka:", ":9092", "kafka:http", "kafka://b:9", "a b:9092", "fd00::1:9"])
@pytest.mark.parametrize("form", ["{}", "good:9092,{}", "{},good:9092"])
def test_what_is_no_broker_is_named(form: str, bad: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"'{bad}' is not host:port")):
        Settings(kafka_bootstrap_servers=form.format(bad))


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_port_that_does_not_exist_is_named(port: str) -> None:
    with pytest.raises(ValidationError, match=f"'kafka:{port}' has a port that does not exist"):
        Settings(kafka_bootstrap_servers=f"kafka:{port}")


@pytest.mark.parametrize("name", ["", "two words", "o'n", "{cluster}"])
def test_what_cannot_name_a_cluster_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="clickhouse_cluster"):
        Settings(clickhouse_cluster=name)


@pytest.mark.parametrize("header", ["", "X-User:", "X User", "Üser"])
def test_what_is_no_header_is_refused(header: str) -> None:
    with pytest.raises(ValidationError):
        Settings(principal_header=header)


def test_keys_for_sensitive_values_are_looked_at_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys.json"
    monkeypatch.setenv("TASKEXEC_SENSITIVE_KEY_FILE", str(file))
    with pytest.raises(ValidationError, match="cannot be read"):
        Settings()
    file.write_text('{"keys":[{"kty":"oct","kid":"a","k":"short"}]}', encoding="utf-8")
    with pytest.raises(ValidationError, match=r"keys\[0\]\.k"):
        Settings()
    key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"
    file.write_text(f'{{"keys":[{{"kty":"oct","kid":"a","k":"{key}"}}]}}', encoding="utf-8")
    assert Settings().sensitive_key_file == file
    assert key not in repr(Settings())
