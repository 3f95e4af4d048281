"""A broker as a company has one: beside the open listener of tests one for SASL and one for client certificates."""

import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path

import trustme
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from service.embedded.broker import EmbeddedBroker
from service.embedded.config import HOST
from service.embedded.ports import free_port

PREFIX = "eu-1."
USER, PASSWORD, WRONG = "taskexec", 'p"ss=wörd, 7', "wrong horse"
KEY_PASSWORD = "key password"  # noqa: S105 - made up

_LISTENERS = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
listener.name.sasl.ssl.keystore.type=PEM
listener.name.sasl.ssl.keystore.location={directory}/broker.pem
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{user}="{password}";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
listener.name.mutual.ssl.keystore.type=PEM
listener.name.mutual.ssl.keystore.location={directory}/broker.pem
listener.name.mutual.ssl.truststore.type=PEM
listener.name.mutual.ssl.truststore.location={directory}/ca.pem
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^.*$/{user}/
"""


RIGHTS = [
    AclBinding(kind, PREFIX, ResourcePatternType.PREFIXED, f"User:{USER}", "*", operation, AclPermissionType.ALLOW)
    for kind, operations in {
        ResourceType.TOPIC: ("ALTER", "CREATE", "DELETE", "DESCRIBE_CONFIGS", "READ", "WRITE"),
        ResourceType.GROUP: ("READ",),
        ResourceType.TRANSACTIONAL_ID: ("WRITE",),
    }.items()
    for operation in (AclOperation[name] for name in operations)
]
"""All that the service may do, as docs/kafka.md says; all else is refused."""


@dataclass(frozen=True)
class Files:
    """What a client is given, as files of these names."""

    directory: Path

    def __getitem__(self, name: str) -> str:
        return str(self.directory / name)

    def write(self, name: str, content: bytes) -> None:
        (self.directory / name).write_bytes(content)


class SecuredBroker(EmbeddedBroker):
    """`sasl` and `mutual` are the addresses of its other listeners, `files` what their clients need."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, 0)
        sasl, mutual = free_port(HOST), free_port(HOST)
        self.sasl, self.mutual = f"{HOST}:{sasl}", f"{HOST}:{mutual}"
        self.files = make_files(data_dir / "files")

    async def start(self) -> None:
        await super().start()
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        for kind in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):  # one of a user in each request
            user = UserScramCredentialUpsertion(USER, ScramCredentialInfo(kind, 4096), PASSWORD.encode())
            admin.alter_user_scram_credentials([user])[USER].result(10)
        for future in admin.create_acls(RIGHTS).values():
            future.result(10)

    def _configure(self, log_dir: Path) -> str:
        name = super()._configure(log_dir)
        config = self.data_dir / name
        text = config.read_text(encoding="utf-8")
        more = f",SASL://{self.sasl},MUTUAL://{self.mutual}"
        lines = [
            line + (more if line.startswith(("listeners=", "advertised.listeners=")) else "")
            + (",SASL:SASL_SSL,MUTUAL:SSL" if line.startswith("listener.security.protocol.map=") else "")
            for line in text.splitlines()
        ]  # fmt: skip
        password = PASSWORD.replace('"', '\\\\"').replace("ö", "\\u00f6")
        secured = _LISTENERS.format(directory=self.files.directory, user=USER, password=password)
        config.write_text("\n".join(lines) + secured, encoding="utf-8")
        return name


def make_files(directory: Path) -> Files:
    """A certificate authority, what it has signed, another one, and every secret."""
    directory.mkdir(parents=True)
    files, authority = Files(directory), trustme.CA()
    broker, client = authority.issue_cert(HOST), authority.issue_cert("client.test")
    contents = {
        "ca.pem": authority.cert_pem.bytes(),
        "other-ca.pem": trustme.CA().cert_pem.bytes(),
        "broker.pem": _key(broker) + _chain(broker),
        "client.pem": _chain(client),
        "client.key": _key(client),
        "client-locked.key": _key(client, KEY_PASSWORD),
        "key-password": KEY_PASSWORD.encode() + b"\n",
        "password": PASSWORD.encode() + b"\n",
        "wrong-password": WRONG.encode() + b"\n",
        "token": token().encode() + b"\n",
        "expired-token": token(seconds=-60).encode(),
    }
    for name, content in contents.items():
        files.write(name, content)
    return files


def environments(broker: "SecuredBroker") -> dict[str, dict[str, str]]:
    """For each way to connect, what a client is told."""
    files = broker.files
    sasl = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.sasl, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SSL_CA_FILE": files["ca.pem"],
    }  # fmt: skip
    named = {"KAFKA_SASL_USERNAME": USER, "KAFKA_SASL_PASSWORD_FILE": files["password"]}
    mutual = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.mutual, "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_SSL_CA_FILE": files["ca.pem"], "KAFKA_SSL_CERT_FILE": files["client.pem"],
        "KAFKA_SSL_KEY_FILE": files["client-locked.key"], "KAFKA_SSL_KEY_PASSWORD_FILE": files["key-password"],
    }  # fmt: skip
    oauth = {"KAFKA_SASL_MECHANISM": "OAUTHBEARER", "KAFKA_SASL_OAUTHBEARER_TOKEN_FILE": files["token"]}
    by_password = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    return {
        **{name: sasl | named | {"KAFKA_SASL_MECHANISM": name} for name in by_password},
        "OAUTHBEARER": sasl | oauth,
        "certificate": mutual,
    }


def token(seconds: float = 3600) -> str:
    """An unsecured JSON Web Signature, as the broker takes it in tests."""
    now = time.time()
    # A broker that takes it within the same millisecond must not find it issued in the future.
    issued = int(min(now, now + seconds - 1))
    parts = {"alg": "none"}, {"sub": USER, "iat": issued, "exp": now + seconds}
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def _chain(certificate: trustme.LeafCert) -> bytes:
    return b"".join(part.bytes() for part in certificate.cert_chain_pems)


def _key(certificate: trustme.LeafCert, password: str | None = None) -> bytes:
    """In PKCS 8, the only form that Kafka reads."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
