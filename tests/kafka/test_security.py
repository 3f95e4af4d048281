"""What the environment may say of TLS and SASL, and that no secret is shown by what was made of it."""

import pickle
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiokafka.conn import OAuthAuthenticator
from aiokafka.errors import SaslAuthenticationFailed
from pydantic import ValidationError

from service.handling.broker_security import broker_options
from service.kafka.connection import Kafka
from service.kafka.internals.token_refusals import _Heeding
from service.kafka.security import CredentialsError, Sasl, Security, Tls
from service.kafka.settings import KafkaSettings
from service.kafka.tokens import EndpointTokens, FileTokens
from service.settings import Settings
from tests.secured_broker import KEY_PASSWORD, PASSWORD, USER, Files, make_files

NAMED = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": USER}
ENDPOINT = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
    "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": "https://login.example.org/token",
    "KAFKA_SASL_OAUTHBEARER_CLIENT_ID": USER,
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("files") / "made")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.variables():
        monkeypatch.delenv(name, raising=False)


def read(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Kafka:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings().kafka.security == KafkaSettings().kafka.security or "OAUTHBEARER" in environment.values()
    return Settings().kafka


def test_without_a_word_nothing_is_secured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, {}).security == Security()
    assert read(monkeypatch, {}).options() == {
        "bootstrap_servers": "127.0.0.1:9092", "security_protocol": "PLAINTEXT",
    }  # fmt: skip


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_name_and_password(monkeypatch: pytest.MonkeyPatch, files: Files, protocol: str, mechanism: str) -> None:
    password = {"KAFKA_SASL_PASSWORD_FILE": files["password"]}
    chosen = {"KAFKA_SECURITY_PROTOCOL": protocol, "KAFKA_SASL_MECHANISM": mechanism}
    options = read(monkeypatch, NAMED | password | chosen).options()
    context = options.pop("ssl_context", None)
    assert (context is not None) == (protocol == "SASL_SSL")
    assert options == {
        "bootstrap_servers": "127.0.0.1:9092", "security_protocol": protocol, "sasl_mechanism": mechanism,
        "sasl_plain_username": USER, "sasl_plain_password": PASSWORD,
    }  # fmt: skip


def test_the_certificate_of_kafka_and_its_name_are_checked(monkeypatch: pytest.MonkeyPatch, files: Files) -> None:
    trusting = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": files["ca.pem"]}
    context = read(monkeypatch, trusting).options()["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1


def test_a_secret_is_read_anew_for_each_client(tmp_path: Path) -> None:
    sasl = Sasl("PLAIN", USER, tmp_path / "password")
    with pytest.raises(CredentialsError, match="password can't be read: No such file"):
        sasl.options()
    for password in ("one", " two "):
        (tmp_path / "password").write_text(password + "\r\n")
        assert sasl.options()["sasl_plain_password"] == password


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "Input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SECURITY_PROTOCOL=SASL_SSL needs KAFKA_SASL_MECHANISM"),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "PLAIN"},
            "KAFKA_SASL_MECHANISM=PLAIN needs KAFKA_SASL_PASSWORD_FILE, KAFKA_SASL_USERNAME",
        ),
        (NAMED | {"KAFKA_SECURITY_PROTOCOL": "SSL"}, "does not use KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME"),
        ({"KAFKA_SSL_CA_FILE": "ca.pem"}, "KAFKA_SECURITY_PROTOCOL=PLAINTEXT does not use KAFKA_SSL_CA_FILE"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEY_FILE": "client.key"}, "needs KAFKA_SSL_CERT_FILE"),
        (ENDPOINT, "OAUTHBEARER needs KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET_FILE"),
        (
            ENDPOINT | {"KAFKA_SASL_OAUTHBEARER_TOKEN_FILE": "token"},
            "does not use KAFKA_SASL_OAUTHBEARER_CLIENT_ID, KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL",
        ),
        (ENDPOINT | {"KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": "http://example.org/t"}, "give an https:// address"),
        (ENDPOINT | {"KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": "https://a:b@c/t"}, "no name and password in it"),
        (NAMED | {"KAFKA_SASL_PASSWORD_FILE": "/nowhere"}, "/nowhere can't be read: No such file or directory"),
        (NAMED | {"KAFKA_SASL_PASSWORD_FILE": "{empty}"}, "empty is empty"),
        (NAMED | {"KAFKA_SASL_PASSWORD_FILE": "{bytes}"}, "bytes is not text in UTF-8"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": "{password}"}, "password can't be used for TLS"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": "/nowhere"}, "/nowhere can't be read"),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CERT_FILE": "{broker.pem}",
             "KAFKA_SSL_KEY_FILE": "{client.key}"},
            "broker.pem, .*client.key can't be used for TLS: key values mismatch",
        ),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CERT_FILE": "{client.pem}",
             "KAFKA_SSL_KEY_FILE": "{client-locked.key}"},
            "client-locked.key can't be used for TLS",
        ),
        ({"TASKEXEC_PREFIX": "a b"}, "at most 64 letters, digits, dots"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    monkeypatch: pytest.MonkeyPatch, files: Files, environment: dict[str, str], said: str
) -> None:
    files.write("empty", b"\n")
    files.write("bytes", b"\xff")
    given = {name: files[value[1:-1]] if value.startswith("{") else value for name, value in environment.items()}
    with pytest.raises(ValidationError, match=said) as refused:
        read(monkeypatch, given)
    assert PASSWORD not in str(refused.value)


def test_nothing_that_is_kept_holds_a_secret(monkeypatch: pytest.MonkeyPatch, files: Files) -> None:
    """A process hands its settings on to others, and whatever shows them shows files."""
    tls = {
        "KAFKA_SSL_CERT_FILE": files["client.pem"], "KAFKA_SSL_KEY_FILE": files["client-locked.key"],
        "KAFKA_SSL_KEY_PASSWORD_FILE": files["key-password"], "KAFKA_SASL_PASSWORD_FILE": files["password"],
    }  # fmt: skip
    kafka = read(monkeypatch, NAMED | tls)
    for shown in (repr(Settings()), repr(kafka), str(pickle.dumps(Settings())), str(pickle.dumps(kafka))):
        assert PASSWORD not in shown
        assert KEY_PASSWORD not in shown


def test_tokens_come_from_a_file_or_an_endpoint(monkeypatch: pytest.MonkeyPatch, files: Files) -> None:
    secret = {"KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET_FILE": files["password"]}
    options = read(monkeypatch, ENDPOINT | secret | {"KAFKA_SASL_OAUTHBEARER_SCOPE": "kafka"}).options()
    assert isinstance(options["sasl_oauth_token_provider"], EndpointTokens)
    for name in ENDPOINT | secret | {"KAFKA_SASL_OAUTHBEARER_SCOPE": ""}:
        monkeypatch.delenv(name)
    from_file = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
        "KAFKA_SASL_OAUTHBEARER_TOKEN_FILE": files["token"],
    }  # fmt: skip
    assert isinstance(read(monkeypatch, from_file).options()["sasl_oauth_token_provider"], FileTokens)


@pytest.mark.parametrize("mechanism", [None, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
@pytest.mark.parametrize("tls", [None, Tls()])
def test_faststream_connects_as_all_others_do(files: Files, tls: Tls | None, mechanism: str | None) -> None:
    """Its consumer is made with the very options."""
    password = None if mechanism in {None, "OAUTHBEARER"} else Path(files["password"])
    tokens = FileTokens(Path(files["token"])) if mechanism == "OAUTHBEARER" else None
    sasl = Sasl(mechanism, USER, password, tokens) if mechanism else None
    options = Kafka("a:1,b:2", security=Security(tls, sasl)).options()
    consumer = consumer_options(options)
    assert consumer["bootstrap_servers"] == ["a:1", "b:2"]
    for name in options.keys() - {"bootstrap_servers"}:
        assert consumer[name] == options[name], name


def consumer_options(options: dict[str, Any]) -> dict[str, Any]:
    from faststream.kafka import KafkaBroker  # noqa: PLC0415 - slow

    builder: Any = KafkaBroker(**broker_options(options)).config.broker_config.builder
    return dict(builder.keywords)


async def test_aiokafka_takes_the_refusal_of_a_token_for_a_yes() -> None:
    """When this fails, aiokafka does by itself what `token_refusals` makes it do."""
    refusal = b'{"status":"invalid_token"}'
    kinds: list[Any] = [OAuthAuthenticator, _Heeding]
    for kind in kinds:
        authenticator: Any = kind(sasl_oauth_token_provider=FileTokens(Path(__file__)))
        authenticator._token_sent = True
        if kind is OAuthAuthenticator:
            assert await authenticator.step(refusal) is None
        else:
            with pytest.raises(SaslAuthenticationFailed, match="the token was refused"):
                await authenticator.step(refusal)
        assert await authenticator.step(b"") is None
