"""How our clients prove to Kafka who they are, and make sure that it is Kafka: TLS and SASL.

A value here holds no secret, only the file that has it: nothing that shows the value shows the secret, and every client
that is opened reads it anew.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

from service.kafka.internals.token_refusals import heed_token_refusals

_PROTOCOLS: Final = {
    (False, False): "PLAINTEXT", (True, False): "SSL", (False, True): "SASL_PLAINTEXT", (True, True): "SASL_SSL",
}  # fmt: skip


class CredentialsError(KafkaError):
    """Files cannot be used to connect, or no token is given to us. The action: at the start stop, later try again."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS, with files in PEM: whom to trust (else whom the system trusts), and our own certificate if one is wanted."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """What a client needs for it.

        Raises:
            CredentialsError: a file cannot be read, or is not what it must be.
        """
        with _naming(self.ca_file):
            context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            # Never without a password: OpenSSL would ask for it on the terminal.
            password = read_secret(self.key_password_file) if self.key_password_file else ""
            with _naming(self.cert_file, self.key_file, self.key_password_file):
                context.load_cert_chain(self.cert_file, self.key_file, lambda: password)
        return context


@dataclass(frozen=True, slots=True)
class Sasl:
    """SASL: a name and a password, or `tokens` for OAUTHBEARER."""

    mechanism: str
    username: str | None = None
    password_file: Path | None = None
    tokens: AbstractTokenProvider | None = None

    def options(self) -> dict[str, Any]:
        """See `Security`."""
        if self.password_file is None:
            heed_token_refusals()
            return {"sasl_mechanism": self.mechanism, "sasl_oauth_token_provider": self.tokens}
        return {
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": read_secret(self.password_file),
        }


@dataclass(frozen=True, slots=True)
class Security:
    """Both, either or none."""

    tls: Tls | None = None
    sasl: Sasl | None = None

    def options(self) -> dict[str, Any]:
        """What each of aiokafka's clients must be given. It holds secrets: let nobody keep or show it.

        Raises:
            CredentialsError: a file cannot be read, or is not what it must be.
        """
        options: dict[str, Any] = {"security_protocol": _PROTOCOLS[self.tls is not None, self.sasl is not None]}
        if self.tls is not None:
            options["ssl_context"] = self.tls.context()
        return options | (self.sasl.options() if self.sasl else {})


def read_secret(path: Path) -> str:
    """What stands in the file, without the end of its line.

    Raises:
        CredentialsError: it cannot be read, or nothing stands there.
    """
    with _naming(path):
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    if not secret:
        raise CredentialsError(f"{path} is empty")
    return secret


@contextmanager
def _naming(*paths: Path | None) -> Iterator[None]:
    """Errors say which files, and nothing of what they hold."""
    names = ", ".join(str(path) for path in paths if path is not None)
    try:
        yield
    except ssl.SSLError as error:
        reason = (error.reason or "not in PEM").lower().replace("_", " ")
        raise CredentialsError(f"{names} can't be used for TLS: {reason}") from None
    except OSError as error:
        raise CredentialsError(f"{error.filename or names} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CredentialsError(f"{names} is not text in UTF-8") from None
