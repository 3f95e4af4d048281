"""What the commands that ask have in common: where the service is, and what the answer looks like."""

import functools
import inspect
import os
from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any, Final

import typer

from service.cli.completion import complete_context
from service.cli.contexts import DEFAULT_SERVERS, DEFAULT_URL, find_context
from service.cli.output import Format, Output, write_note
from service.cli.remote import Remote

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="TASKEXEC_URL", metavar="URL", help="Where it is.", show_default="the context's"),
]
Context = Annotated[
    str | None,
    typer.Option(
        "--context",
        envvar="TASKEXEC_CONTEXT",
        metavar="NAME",
        help="An installation that `taskexec context` knows.",
        show_default="the current one",
        autocompletion=complete_context,
    ),
]
Servers = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers",
        envvar="KAFKA_BOOTSTRAP_SERVERS",
        metavar="HOST:PORT,…",
        help="Where Kafka is.",
        show_default=f"the context's, or {DEFAULT_SERVERS}",
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option("--format", "-o", help="What is printed.", case_sensitive=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Short for -o json.")]

Broker = dict[str, str]
"""Where Kafka is and what its topics are called, as settings: what is not in it, the environment says."""

_CONTEXT: Final = Parameter("context", Parameter.KEYWORD_ONLY, default=None, annotation=Context)
_OPTIONS: Final[dict[str, tuple[Parameter, ...]]] = {
    "remote": (
        Parameter("url", Parameter.KEYWORD_ONLY, default=None, annotation=Url),
        _CONTEXT,
    ),
    "broker": (
        Parameter("bootstrap_servers", Parameter.KEYWORD_ONLY, default=None, annotation=Servers),
        _CONTEXT,
    ),
    "out": (
        Parameter("format_", Parameter.KEYWORD_ONLY, default=Format.TABLE, annotation=FormatOption),
        Parameter("as_json", Parameter.KEYWORD_ONLY, default=False, annotation=AsJson),
    ),
}


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Let typer see the options that say where, in place of `remote` and `broker`; those of the format, of `out`."""
    signature = inspect.signature(command)
    wanted = [name for name in _OPTIONS if name in signature.parameters]
    own = [parameter for name, parameter in signature.parameters.items() if name not in _OPTIONS]
    options = dict.fromkeys(option for name in wanted for option in _OPTIONS[name])
    rest = [parameter for parameter in own if parameter.kind is Parameter.VAR_KEYWORD]

    @functools.wraps(command)
    def asked(*arguments: Any, **given: Any) -> None:  # noqa: ANN401 - what typer read
        context = given.pop("context", None)
        if "remote" in wanted:
            given["remote"] = Remote(address(given.pop("url"), context))
        if "broker" in wanted:
            given["broker"] = _broker(given.pop("bootstrap_servers"), context)
        if "out" in wanted:
            format_, as_json = given.pop("format_"), given.pop("as_json")
            given["out"] = Output(Format.JSON if as_json else format_)
        command(*arguments, **given)

    parameters = [*(one for one in own if one not in rest), *options, *rest]
    asked.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return asked


def _only_environment_says(url: str, context: str) -> bool:
    """Whether the address is not what the command line, where somebody named a context, says."""
    return os.environ.get("TASKEXEC_URL") == url and os.environ.get("TASKEXEC_CONTEXT") != context


def _broker(servers: str | None, context: str | None) -> Broker:
    known = find_context(context) if servers is None or context else {}
    places = {"kafka_bootstrap_servers": servers or known.get("bootstrap_servers", DEFAULT_SERVERS)}
    return places | ({"prefix": known["prefix"]} if "prefix" in known and "TASKEXEC_PREFIX" not in os.environ else {})


def address(url: str | None, context: str | None, own: str | None = None) -> str:
    """Where the service is; `own` is what a program says of itself: it counts where nobody named another place.

    Raises:
        CommandError: the context is not known, or the file of contexts cannot be read.
    """
    if context and url and _only_environment_says(url, context):
        write_note(f"TASKEXEC_URL comes before --context {context}: {url} is asked.")
    return url or (None if context else own) or find_context(context).get("url", DEFAULT_URL)
