"""Finds out why Kafka will not have us. aiokafka's clients only log it, and go on trying."""

from ssl import SSLCertVerificationError, SSLError
from typing import Final

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from service.kafka.connection import Kafka
from service.kafka.security import CredentialsError

_TIMEOUT_MS: Final = 10_000
_CLOSED: Final = "it closes the connection"


class KafkaRefusedError(ConnectionError):
    """Kafka answers, and what we are told to connect with does not fit it. The action: stop; a person must mend it.

    Not `for_good`: it closes the connection without a word, which it also does when it ends. Try again for a while.
    """

    def __init__(self, message: str, *, for_good: bool) -> None:
        super().__init__(message)
        self.for_good = for_good


async def knock(kafka: Kafka) -> None:
    """Connect once, as any client of ours does. That nobody answers is left to those who try again.

    Raises:
        KafkaRefusedError: what is wrong with our name, password, token or certificate, or with Kafka's.
    """
    options = kafka.options()
    for host, port, _ in collect_hosts(options.pop("bootstrap_servers")):
        try:
            connection = await create_conn(host, port, request_timeout_ms=_TIMEOUT_MS, **options)
            try:  # that SASL was left out shows only now
                await connection.send(MetadataRequest([]))
            finally:
                connection.close()
        except (KafkaError, OSError, TimeoutError) as error:
            if found := _flaw(error, options.get("sasl_mechanism")):
                flaw, setting = found
                message = f"Kafka at {host}:{port} can't be used: {flaw}. Check {setting}."
                raise KafkaRefusedError(message, for_good=flaw != _CLOSED) from None
        else:
            return


def _flaw(error: BaseException, mechanism: str | None) -> tuple[str, str] | None:
    """What the error says is wrong, and with which settings; None if it only says that nobody answers."""
    if isinstance(error, KafkaConnectionError) and isinstance(error.__cause__, SSLError):
        error = error.__cause__
    found = None
    match error:
        case CredentialsError():
            found = str(error), "the files and addresses of KAFKA_SSL_… and KAFKA_SASL_…"
        case SSLCertVerificationError():
            found = f"its certificate is not trusted: {error.verify_message}", "KAFKA_SSL_CA_FILE"
        case SSLError():
            reason = (error.reason or "for no reason that is told").lower().replace("_", " ")
            found = f"TLS fails: {reason}", "KAFKA_SECURITY_PROTOCOL and KAFKA_SSL_CERT_FILE"
        case UnsupportedSaslMechanismError():
            found = f"it does not offer {mechanism} there", "KAFKA_SASL_MECHANISM"
        case SaslAuthenticationFailed() | IllegalSaslStateError():
            found = f"it does not accept us: {error.args[0]}", "KAFKA_SASL_…"
        case KafkaConnectionError() | ConnectionResetError():
            found = _CLOSED, "KAFKA_SECURITY_PROTOCOL"
        case _:
            pass
    return found
