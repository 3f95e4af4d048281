"""The TaskExecution as its readers see it."""

from typing import Any

from service.contracts.model import Contract
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp


class Metadata(Contract):
    """Who made it, when, and how it is labelled. `sparkApplicationId`: PySpark tasks only."""

    created_at: Timestamp
    created_by: str
    spark_application_id: str | None = None
    tags: tuple[str, ...] = ()


class TaskExecution(Contract):
    """One independent execution of one version of a task. Which optional fields are present depends on `status`.

    `resolvedInputs` is missing only from the replies to lifecycle commands: the write side keeps no payloads. For a
    value of a sensitive variable, `{"sealed": "<compact JWE>"}` stands, or `{"sealed": null}` where it is withheld.
    """

    id: str
    task_id: str
    task_version: str
    status: Status
    resolved_inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    error_message: str | None = None
    skip_reason: str | None = None
    started_at: Timestamp | None = None
    completed_at: Timestamp | None = None
    metadata: Metadata
