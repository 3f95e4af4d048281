"""TLS and SASL as FastStream's broker takes them."""

from typing import Any, Final

from faststream.security import BaseSecurity, SASLOAuthBearer, SASLPlaintext, SASLScram256, SASLScram512

_BY_PASSWORD: Final = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}


def broker_options(options: dict[str, Any]) -> dict[str, Any]:
    """Its arguments, for those of aiokafka's clients (`Kafka.options`)."""
    context, mechanism = options.get("ssl_context"), options.get("sasl_mechanism")
    security: BaseSecurity
    if mechanism in _BY_PASSWORD:
        name, password = options["sasl_plain_username"], options["sasl_plain_password"]
        security = _BY_PASSWORD[mechanism](name, password, context, use_ssl=context is not None)
    elif mechanism is not None:
        security = SASLOAuthBearer(context, use_ssl=context is not None)
    else:
        security = BaseSecurity(context)
    return {
        "bootstrap_servers": options["bootstrap_servers"].split(","),
        "security": security,
        "sasl_oauth_token_provider": options.get("sasl_oauth_token_provider"),
    }
