"""Whether what a command carries fits the task's definition (spec, Commands ExecuteTask, Succeed-, Start-)."""

from service.contracts.commands import ExecuteTask, HeartbeatTaskExecution, StartTaskExecution, SucceedTaskExecution
from service.contracts.definitions import TaskType
from service.contracts.problems import Code, FieldError, reject
from service.domain.definitions import Definition


def resolve_inputs(command: ExecuteTask, definition: Definition | None) -> dict[str, object]:
    """The inputs as the execution will see them, defaults filled in (spec, Command ExecuteTask).

    Raises:
        RejectedError: there is no such published definition, it cannot be used, or the inputs do not fit it.
    """
    if definition is None:
        name = f"{command.task_id} {command.task_version}"
        detail = f"There is no task definition {name}. Publish it, or name an existing taskId and taskVersion."
        missing = FieldError(pointer="#/taskId", detail=f"no definition {name}")
        raise reject(Code.DEFINITION_NOT_FOUND, detail, (missing,))
    if definition.flaw is not None:
        raise reject(
            Code.DEFINITION_UNUSABLE,
            f"The task definition {definition.name} cannot be used. Mend it and publish it again, or name another "
            f"version. What is wrong with it: {definition.flaw}",
            (FieldError(pointer="#/taskVersion", detail=f"cannot be used: {definition.flaw}"),),
        )
    if not definition.is_published:
        raise reject(
            Code.DEFINITION_NOT_PUBLISHED,
            f"The task definition {definition.name} is {definition.status}; only PUBLISHED ones can be executed.",
            (FieldError(pointer="#/taskVersion", detail=f"{definition.status}, not PUBLISHED"),),
        )
    resolved, errors = definition.resolve_inputs(command.inputs)
    if errors:
        detail = f"The inputs do not fit the definition of {definition.name}: see errors."
        raise reject(Code.INVALID_INPUTS, detail, errors)
    return resolved


def check_outputs(command: SucceedTaskExecution, definition: Definition | None) -> None:
    """Check the outputs; without a definition they are kept as they are.

    Raises:
        RejectedError: they do not fit.
    """
    # A definition withdrawn or spoilt while the execution ran can no longer say what is right: the result is kept.
    if definition and (errors := definition.check_outputs(command.outputs)):
        detail = f"The outputs do not fit the definition of {definition.name}: see errors."
        raise reject(Code.INVALID_OUTPUTS, detail, errors)


def check_spark_application(
    command: StartTaskExecution | HeartbeatTaskExecution, definition: Definition | None
) -> None:
    """Check that only a PySpark task names a Spark application.

    Raises:
        RejectedError: another one does.
    """
    if not command.spark_application_id or definition is None or definition.flaw is not None:
        return
    if definition.type is not TaskType.PYSPARK_OPERATOR:
        detail = f"The task's type is {definition.type}; only a pyspark_operator may name a sparkApplicationId."
        errors = (FieldError(pointer="#/sparkApplicationId", detail="not allowed here"),)
        raise reject(Code.SPARK_NOT_ALLOWED, detail, errors)
