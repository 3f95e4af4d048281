"""The TaskDefinition as this service reads it. Another service owns and publishes it."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from service.contracts.model import TaskId, TaskVersion


class _Foreign(BaseModel):
    """A body that another service owns: fields we do not know are its business, so they are ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True
    )


class TaskType(StrEnum):
    """What kind of task it is."""

    RAY_OPERATOR = "ray_operator"
    MODEL_INFERENCE = "model_inference"
    SQL = "sql"
    PYSPARK_OPERATOR = "pyspark_operator"
    FLINK_SQL = "flink_sql"
    FLINK_JAR = "flink_jar"


class DefinitionStatus(StrEnum):
    """Only `PUBLISHED` versions can be executed; they never change again."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"


class VariableType(StrEnum):
    """The type of an input or output. A `file` is a string that names it: a URI or a path."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ARRAY = "array"
    OBJECT = "object"
    FILE = "file"


class Validation(_Foreign):
    """Limits on a value. Like in JSON Schema, a keyword that does not concern the value's type has no effect."""

    pattern: str | None = None
    min_length: int | None = Field(default=None, ge=0)
    max_length: int | None = Field(default=None, ge=0)
    enum: tuple[Any, ...] | None = None
    min_value: float | int | None = None
    max_value: float | int | None = None


class Variable(_Foreign):
    """An input or output variable. A required one has no default; an optional one without resolves to null."""

    name: str = Field(min_length=1, max_length=255)
    type: VariableType
    required: bool = True
    description: str | None = None
    default_value: Any = None
    validation: Validation | None = None


class TaskDefinition(_Foreign):
    """One version of a task: identity `taskId` (`namespace:name`) + `version`."""

    task_id: TaskId
    version: TaskVersion
    status: DefinitionStatus
    type: TaskType
    input_variables: tuple[Variable, ...] = ()
    output_variables: tuple[Variable, ...] = ()

    @property
    def key(self) -> str:
        """Its record key on the definitions topic."""
        return definition_key(self.task_id, self.version)


def definition_key(task_id: str, version: str) -> str:
    """`namespace:name@version`: the record key of a definition."""
    return f"{task_id}@{version}"


DEFINITION_TYPE = "TaskDefinitionPublished"
"""The CloudEvents type of a definition record, where one is given."""
