"""The TaskDefinition as this service reads it. Another service owns and publishes it."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt
from pydantic.alias_generators import to_camel

from service.contracts.bounds import at_most
from service.contracts.durations import Limit
from service.contracts.model import Name, TaskId, TaskVersion
from service.contracts.retries import RetryPolicy

MAX_VARIABLES: Final = 1_000
"""How many inputs, and how many outputs, a definition has at most."""


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


Length = Annotated[StrictInt, Field(ge=0)]


class Validation(_Foreign):
    """Limits on a value. Like in JSON Schema, a keyword that does not concern the value's type has no effect."""

    pattern: str | None = Field(
        default=None,
        description="A regular expression in RE2's syntax (https://github.com/google/re2/wiki/Syntax), searched for "
        "anywhere in the value: `^` and `$` tie it to the ends. `\\d`, `\\w` and `\\s` are ASCII; there is no "
        "look-around, no back-reference, no `\\u` and no `(?x)`. The larger a pattern, the shorter the values that can "
        "be matched: program size times bytes is at most 10 million for all values of a command.",
    )
    min_length: Length | None = Field(default=None, description="In characters of a text, in items of an array.")
    max_length: Length | None = Field(default=None, description="The same.")
    enum: tuple[Any, ...] | None = Field(
        default=None,
        description="The values that are allowed, compared as JSON: 1 is 1.0, and not true. All enums in one "
        "list of variables have at most 10,000 together.",
    )
    min_value: StrictFloat | StrictInt | None = Field(default=None, description="Of a number; it may be this one.")
    max_value: StrictFloat | StrictInt | None = Field(default=None, description="The same.")


class Variable(_Foreign):
    """An input or output variable. A required one has no default; an optional one without resolves to null."""

    name: Name = Field(description="Of no other variable in the list.")
    type: VariableType
    required: StrictBool = Field(default=True, description="Each execution gives it a value.")
    description: str | None = Field(default=None, description="For people.")
    default_value: Any = Field(
        default=None, description="The value of an optional one that is not given. It fits the variable's own limits."
    )
    validation: Validation | None = Field(default=None, description="Limits on its values.")
    sensitive: StrictBool = Field(
        default=False,
        description="No value of it is ever written in clear: an object with `sealed` stands there. It has no default.",
    )


Variables = Annotated[tuple[Variable, ...], Field(max_length=MAX_VARIABLES), at_most(MAX_VARIABLES)]
"""Too many are refused before each is looked at: what is wrong with each of them costs time and memory."""


class DefinitionIdentity(_Foreign):
    """What names a version of a task: `taskId` (`namespace:name`) + `version`."""

    task_id: TaskId = Field(description="`namespace:name`.")
    version: TaskVersion = Field(description="`draft` or a semantic version.")


class TaskDefinition(DefinitionIdentity):
    """One version of a task: identity `taskId` (`namespace:name`) + `version`."""

    status: DefinitionStatus
    type: TaskType
    input_variables: Variables = Field(default=(), description="What each execution is given.")
    output_variables: Variables = Field(default=(), description="What each execution that succeeds has.")
    start_timeout: Limit | None = Field(
        default=None, description="An execution that could start, and has not for so long, is stopped."
    )
    run_timeout: Limit | None = Field(default=None, description="An execution that runs for longer fails.")
    retry: RetryPolicy | None = Field(
        default=None, description="Of executions that fail; ExecuteTask may say otherwise. Not with sensitive inputs."
    )

    @property
    def key(self) -> str:
        """Its record key on the definitions topic."""
        return definition_key(self.task_id, self.version)


def definition_key(task_id: str, version: str) -> str:
    """`namespace:name@version`: the record key of a definition."""
    return f"{task_id}@{version}"


DEFINITION_TYPE = "TaskDefinitionPublished"
"""The CloudEvents type of a definition record, where one is given."""
