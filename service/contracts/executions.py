"""The TaskExecution as its readers see it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from service.contracts.dependencies import Dependency
from service.contracts.model import Contract
from service.contracts.status import Status
from service.contracts.timestamps import Timestamp

PayloadsDropped = Annotated[
    Literal[True] | None,
    Field(description="Whether `resolvedInputs` and `outputs` were dropped: it ended longer ago than they are kept."),
]


class Metadata(Contract):
    """Who made it, when, and how it is labelled. `sparkApplicationId`: PySpark tasks only."""

    created_at: Timestamp
    created_by: str
    spark_application_id: str | None = None
    tags: tuple[str, ...] = ()


class TaskExecution(Contract):
    """One independent execution of one version of a task. Which optional fields are present depends on `status`.

    `resolvedInputs` is missing only where `payloadsDropped` says so, and from replies to lifecycle commands over Kafka:
    the write side keeps no payloads. Over HTTP the read side adds them, unless it does not answer in time. For a value
    of a sensitive variable, `{"sealed": "<compact JWE>"}` stands, or `{"sealed": null}` where it is withheld.
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
    payloads_dropped: PayloadsDropped = None
    depends_on: Annotated[
        tuple[Dependency, ...] | None, Field(description="What had to be SUCCESS first, if anything had to.")
    ] = None
    not_before: Annotated[Timestamp | None, Field(description="It cannot start earlier.")] = None
    retry_of: Annotated[str | None, Field(description="The first attempt, if this is another one.")] = None
    attempt: Annotated[int | None, Field(description="Which attempt it is, from the second on.")] = None
    retried_by: Annotated[str | None, Field(description="The next attempt, if it failed and is tried again.")] = None
    owner: Annotated[str | None, Field(description="The worker that claimed it.")] = None
    progress: Annotated[float | None, Field(description="How much is done, from 0 to 1, as its worker says.")] = None
    message: Annotated[str | None, Field(description="What its worker was doing last.")] = None
    metadata: Metadata
