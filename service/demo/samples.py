"""What one run of a sample task looks like: its inputs, its outputs, and the errors such tasks end with."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from service.contracts.definitions import TaskDefinition
from service.demo import definitions as d

Values = Callable[[Random], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A definition and how its runs go."""

    definition: TaskDefinition
    inputs: Values
    outputs: Values
    errors: tuple[str, ...]


def _file(random: Random, name: str) -> str:
    return f"s3://lake/{name}/run={random.getrandbits(40):010x}/part-0.parquet"


def _day(random: Random) -> str:
    return f"2026-10-{random.randint(1, 31):02}"


def _collect_inputs(random: Random) -> dict[str, Any]:
    inputs: dict[str, Any] = {"sourceUri": _file(random, "raw"), "day": _day(random)}
    if random.random() < 0.3:  # noqa: PLR2004 - a share
        inputs["maxRows"] = random.choice((10_000, 250_000, 5_000_000))
    return inputs


def _clean_outputs(random: Random) -> dict[str, Any]:
    return {"dataset": _file(random, "clean"), "rowsKept": random.randint(9_000, 900_000), "rowsDropped": 17}


def _evaluate_outputs(random: Random) -> dict[str, Any]:
    return {"accuracy": round(random.uniform(0.8, 0.97), 4), "passed": True}


COLLECT: Final = Sample(
    d.COLLECT,
    _collect_inputs,
    lambda random: {"dataset": _file(random, "collected"), "rows": random.randint(10_000, 1_000_000)},
    (
        "NoSuchBucket: the bucket 'lake-archive' does not exist (GET s3://lake-archive/raw, 404)",
        "ray.exceptions.WorkerCrashedError: the worker died unexpectedly while executing this task (exit code 137)",
        "ConnectTimeout: crm.internal:5432 did not answer within 30 s after 5 attempts",
    ),
)
CLEAN: Final = Sample(
    d.CLEAN,
    lambda random: {"dataset": _file(random, "collected"), "executorMemory": random.choice(("4g", "8g"))},
    _clean_outputs,
    (
        "SparkException: Job aborted due to stage failure: Task 41 in stage 3.0 failed 4 times: Java heap space",
        "AnalysisException: [UNRESOLVED_COLUMN] `customer_id` cannot be resolved. Did you mean `customerId`?",
    ),
)
TRAIN: Final = Sample(
    d.TRAIN,
    lambda random: {
        "dataset": _file(random, "clean"),
        "algorithm": random.choice(("gradient_boosting", "random_forest")),
    },
    lambda random: {"model": _file(random, "models"), "trainingLoss": round(random.uniform(0.05, 0.4), 4)},
    (
        "torch.cuda.OutOfMemoryError: tried to allocate 2.31 GiB (GPU 0; 15.77 GiB total capacity)",
        "ValueError: Input contains NaN in column 'age', row 10412",
    ),
)
EVALUATE: Final = Sample(
    d.EVALUATE,
    lambda random: {"model": _file(random, "models")},
    _evaluate_outputs,
    ("QueryTimeout: the evaluation query was cancelled after 900 s",),
)
SCORE: Final = Sample(
    d.SCORE,
    lambda random: {"model": _file(random, "models"), "batchSize": random.choice((256, 512, 1024))},
    lambda random: {
        "scores": _file(random, "scores"),
        "customers": random.randint(1_000, 90_000),
        "byBand": {"high": 12},
    },
    ("ModelLoadError: the model expects 41 features, the batch has 40 (missing: tenure_months)",),
)
SESSIONIZE: Final = Sample(
    d.SESSIONIZE,
    lambda random: {"topic": random.choice(("clicks.web", "clicks.app"))},
    lambda random: {"sessions": random.randint(500, 50_000), "lateEvents": random.randint(0, 90)},
    ("FlinkException: Checkpoint 118 expired before completing (timeout 600000 ms)",),
)
DETECT: Final = Sample(
    d.DETECT,
    lambda random: {"jar": "s3://artifacts/fraud-rules-5.2.0.jar", "parallelism": random.choice((2, 4, 8))},
    lambda random: {"alerts": random.randint(0, 40), "rulesHit": ["velocity"]},
    ("NoClassDefFoundError: com/acme/fraud/rules/GeoRule (fraud-rules-5.2.0.jar)",),
)
REPORT: Final = Sample(
    d.REPORT,
    lambda random: {"day": _day(random), "recipients": ["finance@example.com"], "title": "Daily numbers · Zürich"},
    lambda random: {"report": _file(random, "reports")},
    ("SMTPRecipientsRefused: 550 5.1.1 mailbox unavailable: finance@example.com",),
)
