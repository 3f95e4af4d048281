"""Sample task definitions, one at least of every type, as another service would publish them."""

from typing import Any, Final

from service.contracts.definitions import DefinitionStatus, TaskDefinition, TaskType, Validation, Variable, VariableType

_S3: Final = Validation(pattern=r"^s3://[a-z0-9./=_-]+$", max_length=1024)
_DAY: Final = Validation(pattern=r"^\d{4}-\d{2}-\d{2}$")
_RATIO: Final = Validation(min_value=0, max_value=1)


def _needed(name: str, kind: VariableType, validation: Validation | None = None) -> Variable:
    return Variable(name=name, type=kind, validation=validation)


def _optional(name: str, kind: VariableType, default: Any = None, validation: Validation | None = None) -> Variable:  # noqa: ANN401 - JSON is any
    return Variable(name=name, type=kind, required=False, default_value=default, validation=validation)


def _published(
    task_id: str, version: str, kind: TaskType, inputs: tuple[Variable, ...], outputs: tuple[Variable, ...]
) -> TaskDefinition:
    return TaskDefinition(
        task_id=task_id, version=version, status=DefinitionStatus.PUBLISHED, type=kind, input_variables=inputs,
        output_variables=outputs,
    )  # fmt: skip


_STRING, _NUMBER, _BOOLEAN = VariableType.STRING, VariableType.NUMBER, VariableType.BOOLEAN
_ARRAY, _OBJECT, _FILE = VariableType.ARRAY, VariableType.OBJECT, VariableType.FILE

COLLECT: Final = _published(
    "ingest:collect_data", "2.1.0", TaskType.RAY_OPERATOR,
    (
        _needed("sourceUri", _FILE, _S3), _needed("day", _STRING, _DAY),
        _optional("maxRows", _NUMBER, 1_000_000, Validation(min_value=1)),
        _optional("includeDeleted", _BOOLEAN, default=False),
    ),
    (_needed("dataset", _FILE, _S3), _needed("rows", _NUMBER, Validation(min_value=0))),
)  # fmt: skip

CLEAN: Final = _published(
    "etl:clean_events", "1.4.2", TaskType.PYSPARK_OPERATOR,
    (
        _needed("dataset", _FILE, _S3),
        _optional("columns", _ARRAY, validation=Validation(min_length=1, max_length=200)),
        _optional("executorMemory", _STRING, "4g", Validation(enum=("2g", "4g", "8g", "16g"))),
    ),
    (_needed("dataset", _FILE, _S3), _needed("rowsKept", _NUMBER), _optional("rowsDropped", _NUMBER, 0)),
)  # fmt: skip

TRAIN: Final = _published(
    "training:train_model", "3.0.1", TaskType.RAY_OPERATOR,
    (
        _needed("dataset", _FILE, _S3),
        _optional("algorithm", _STRING, "gradient_boosting", Validation(enum=("gradient_boosting", "random_forest"))),
        _optional("hyperparameters", _OBJECT, {"maxDepth": 8, "learningRate": 0.1}),
    ),
    (_needed("model", _FILE, _S3), _needed("trainingLoss", _NUMBER)),
)  # fmt: skip

TRAIN_DRAFT: Final = TRAIN.model_copy(update={"version": "draft", "status": DefinitionStatus.DRAFT})
"""The next version of the training, not published yet: nothing can be executed by it."""

EVALUATE: Final = _published(
    "training:evaluate_model", "1.2.0", TaskType.SQL,
    (_needed("model", _FILE, _S3), _optional("minAccuracy", _NUMBER, 0.8, _RATIO)),
    (_needed("accuracy", _NUMBER, _RATIO), _needed("passed", _BOOLEAN)),
)  # fmt: skip

SCORE: Final = _published(
    "scoring:score_customers", "1.0.3", TaskType.MODEL_INFERENCE,
    (_needed("model", _FILE, _S3), _optional("batchSize", _NUMBER, 512, Validation(min_value=1, max_value=65_536))),
    (_needed("scores", _FILE, _S3), _needed("customers", _NUMBER), _optional("byBand", _OBJECT)),
)  # fmt: skip

SESSIONIZE: Final = _published(
    "streaming:sessionize_clicks", "0.9.0", TaskType.FLINK_SQL,
    (_needed("topic", _STRING), _optional("gapMinutes", _NUMBER, 30, Validation(min_value=1, max_value=1_440))),
    (_needed("sessions", _NUMBER), _optional("lateEvents", _NUMBER, 0)),
)  # fmt: skip

DETECT: Final = _published(
    "streaming:detect_fraud", "5.2.0", TaskType.FLINK_JAR,
    (_needed("jar", _FILE), _optional("rules", _ARRAY, ["velocity", "geo"]), _optional("parallelism", _NUMBER, 4)),
    (_needed("alerts", _NUMBER), _optional("rulesHit", _ARRAY)),
)  # fmt: skip

REPORT: Final = _published(
    "reporting:daily_report", "1.1.0", TaskType.SQL,
    (_needed("day", _STRING, _DAY), _optional("recipients", _ARRAY, []), _optional("title", _STRING)),
    (_needed("report", _FILE, _S3),),
)  # fmt: skip

DEFINITIONS: Final = (COLLECT, CLEAN, TRAIN, TRAIN_DRAFT, EVALUATE, SCORE, SESSIONIZE, DETECT, REPORT)
