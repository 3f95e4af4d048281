"""The attributes of a CloudEvent as a record carries them, in headers or in its body: read, and checked."""

from typing import Final

from pydantic import JsonValue

from service.contracts.codec import pointer
from service.contracts.model import no_control_characters
from service.contracts.problems import FieldError

MAX_ATTRIBUTE: Final = 1024
"""How many characters a CloudEvents attribute has at most, and how many bytes a trace header."""

ATTRIBUTES: Final = ("specversion", "id", "source", "type", "subject")
"""Those that are read."""


def binary_attributes(headers: dict[str, bytes | None], errors: list[FieldError]) -> dict[str, str]:
    """Those of the `ce_` headers, without their prefix; what is wrong with them is added to `errors`."""
    try:
        attributes = {
            name[3:]: content.decode() if content else "" for name, content in headers.items() if name[:3] == "ce_"
        }
    except UnicodeDecodeError:
        texts = ((name[3:], text_of(name, content, errors)) for name, content in headers.items() if name[:3] == "ce_")
        attributes = {name: text for name, text in texts if text is not None}
    _check(attributes, "#/headers/ce_", errors)
    return attributes


def structured_attributes(body: JsonValue, errors: list[FieldError]) -> tuple[dict[str, str], JsonValue]:
    """Those of a structured CloudEvent, and its data; what is wrong with them is added to `errors`."""
    if not isinstance(body, dict):
        errors.append(FieldError(pointer="#", detail="a structured CloudEvent is an object"))
        return {}, None
    if "data_base64" in body:
        errors.append(FieldError(pointer="#/data_base64", detail="binary data is not supported; send JSON as `data`"))
    attributes: dict[str, str] = {}
    for name in ATTRIBUTES:
        value = body.get(name)
        if isinstance(value, str):
            attributes[name] = value
        elif value is not None:  # null means absent (CloudEvents JSON format 1.0.2)
            errors.append(FieldError(pointer=f"#/{name}", detail="must be a string"))
    _check(attributes, "#/", errors)
    return attributes, body.get("data")


def text_of(header: str, content: bytes | None, errors: list[FieldError]) -> str | None:
    """The header as text; None, and an error more, if it is none."""
    try:
        return (content or b"").decode()
    except UnicodeDecodeError:
        errors.append(FieldError(pointer=pointer("#/headers", header), detail="the header is not UTF-8"))
        return None


def flaw_of(text: str) -> str | None:
    """What is wrong with the text of an attribute, or None."""
    if text.isprintable() and 0 < len(text) <= MAX_ATTRIBUTE:
        return None
    if not text:
        return "must not be empty"
    if len(text) > MAX_ATTRIBUTE:
        return f"must have at most {MAX_ATTRIBUTE} characters"
    try:
        no_control_characters(text)
    except ValueError as error:
        return str(error)
    return None


def _check(attributes: dict[str, str], prefix: str, errors: list[FieldError]) -> None:
    """Add what is wrong with the attributes that we use; those that could not be read are in `errors` already."""
    if _are_sound(attributes):
        return
    reported = {error.pointer for error in errors}
    flaws = {name: flaw for name in ATTRIBUTES if name in attributes and (flaw := flaw_of(attributes[name]))}
    for name in ("specversion", "type", "source") if "id" in attributes else ("specversion", "type"):
        if name not in attributes and prefix + name not in reported:
            flaws[name] = "the attribute is required"
    if attributes.get("specversion", "1.0") != "1.0":
        flaws["specversion"] = "must be 1.0"
    errors += [FieldError(pointer=prefix + name, detail=flaw) for name, flaw in flaws.items()]


def _are_sound(attributes: dict[str, str]) -> bool:
    """True says that there is nothing to add, in one look at all of them: every command passes through here."""
    texts = attributes.values()
    together = "".join(texts)
    return (
        attributes.get("specversion") == "1.0"
        and "type" in attributes
        and ("source" in attributes or "id" not in attributes)
        and "" not in texts
        and len(together) <= MAX_ATTRIBUTE
        and together.isprintable()
    )
