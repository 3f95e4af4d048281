"""Seals the values of sensitive variables, and opens them: compact JWE (RFC 7516), `dir` with `A256GCM`.

Any language has a library that opens them. The keys are a JWK Set (RFC 7517): the first one seals, all of them open.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from msgspec import Meta, Struct
from pydantic import JsonValue

from service.contracts.codec import decode, encode
from service.contracts.sensitive import SEALED

_ALGORITHM, _ENCRYPTION = "dir", "A256GCM"
_ALGORITHMS: Final = [_ALGORITHM, _ENCRYPTION]


class KeyRingError(ValueError):
    """The keys cannot be used. The action: give such a file as the message says; it quotes no key."""


class SealedValueError(ValueError):
    """The value cannot be opened: it was withheld or damaged, or its key is not there."""


class _Key(Struct):
    kty: Literal["oct"]
    kid: Annotated[str, Meta(min_length=1)]
    k: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{43}$")]  # 32 bytes in base64url


class _Keys(Struct):
    keys: Annotated[tuple[_Key, ...], Meta(min_length=1)]


class KeyRing:
    """The keys for sensitive values, of a JWK Set in JSON.

    Raises:
        KeyRingError: it holds no key, or anything but 256-bit `oct` keys, each with a `kid` of its own; or joserfc is
            not installed.
    """

    def __init__(self, text: bytes) -> None:
        try:
            from joserfc.jwk import KeySet, OctKey  # noqa: PLC0415 - an extra
        except ImportError:
            raise KeyRingError("joserfc seals sensitive values: install task-execution-service[sensitive]") from None
        try:
            given = msgspec.json.decode(text, type=_Keys).keys
        except ValueError as error:  # msgspec's, which say where
            raise KeyRingError(
                f"these are no keys: {error}. Give a JWK Set, "
                '{"keys": [{"kty": "oct", "kid": "<its name>", "k": "<32 bytes in base64url>"}]}.'
            ) from None
        if len({key.kid for key in given}) < len(given):
            raise KeyRingError("two keys have the same kid: give each a name of its own.")
        self._keys = KeySet([OctKey.import_key({"kty": key.kty, "kid": key.kid, "k": key.k}) for key in given])
        self._first = self._keys.keys[0]
        self._header = {"alg": _ALGORITHM, "enc": _ENCRYPTION, "kid": given[0].kid}

    @classmethod
    def read(cls, file: Path) -> Self:
        """The keys in this file.

        Raises:
            KeyRingError: it cannot be read, or its keys cannot be used.
        """
        try:
            return cls(file.read_bytes())
        except OSError as error:
            raise KeyRingError(f"{file} cannot be read: {error.strerror}") from None
        except KeyRingError as error:
            raise KeyRingError(f"{file}: {error}") from None

    def seal(self, value: JsonValue) -> dict[str, str | None]:
        """What stands for a sensitive value; each time another text, so that equal values cannot be told."""
        from joserfc.jwe import encrypt_compact  # noqa: PLC0415 - an extra

        return {SEALED: encrypt_compact(self._header, encode(value), self._first, algorithms=_ALGORITHMS)}

    def open(self, sealed: Mapping[str, Any]) -> JsonValue:
        """The value that `{"sealed": …}` stands for.

        Raises:
            SealedValueError: it cannot be opened; why.
        """
        from joserfc.errors import InvalidKeyIdError, JoseError  # noqa: PLC0415 - an extra
        from joserfc.jwe import decrypt_compact  # noqa: PLC0415 - an extra

        match sealed:
            case {"sealed": str() as text}:
                pass
            case {"sealed": None}:
                raise SealedValueError("The value is withheld: it is not in this record.")
            case _:
                raise SealedValueError('This is no sealed value: it is an object {"sealed": "<compact JWE>"}.')
        try:
            value: JsonValue = decode(decrypt_compact(text, self._keys, algorithms=_ALGORITHMS).plaintext or b"")
        except InvalidKeyIdError:
            raise SealedValueError("The key that sealed the value is not among these keys.") from None
        except (JoseError, ValueError):
            raise SealedValueError("The value cannot be opened: it was damaged, or sealed by another key.") from None
        return value
