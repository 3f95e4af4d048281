"""What is logged and how: JSON lines on stderr, or readable ones on a terminal."""

import logging
import sys

import stamina.instrumentation
import structlog


def configure_logs(level: str = "INFO") -> None:
    """Send our logs and those of the libraries, from `level` up, to stderr; standard output is for data."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor
    if sys.stderr.isatty():
        # By default, it shows what the variables held: payloads.
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    else:
        processors.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    threshold = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[*processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*processors, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)
    # What these say while brokers come and go is about their own retrying; what it means for us is logged by us.
    for chatty in ("aiokafka", "uvicorn", "stamina", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    stamina.instrumentation.set_on_retry_hooks([])
