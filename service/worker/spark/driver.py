"""What spark-submit runs: the application, and beside it we hear what Spark calls it, and how it failed.

It needs nothing but PySpark, and only what it needs when it runs: the driver's Python may be another one than ours.
"""

import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Final

APPLICATION_ID: Final = "application-id"
FAILURE: Final = "failure.json"
"""The files that tell of it, beside the result's."""


def main(application: str, directory: Path) -> None:
    """Run the application as if it had been submitted itself."""
    del sys.argv[0]
    sys.path[0] = str(Path(application).parent)
    _tell_application_id(directory / APPLICATION_ID)
    try:
        runpy.run_path(application, run_name="__main__")
    except Exception as error:
        (directory / FAILURE).write_text(json.dumps(_told(error, application)), encoding="utf-8")
        raise


def _tell_application_id(file: Path) -> None:
    """Whoever is Spark's master makes up the id, and a `spark.app.id` of ours is not taken: only the context knows."""
    from pyspark import SparkContext  # noqa: PLC0415 - the worker itself need not have it

    begin = SparkContext.__init__

    def begin_and_tell(self: SparkContext, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever it takes
        begin(self, *args, **kwargs)
        begun = file.with_suffix(".new")
        begun.write_text(self.applicationId, encoding="utf-8")
        begun.replace(file)

    SparkContext.__init__ = begin_and_tell  # type: ignore[method-assign] # applications call it in any way


def _told(error: Exception, application: str) -> tuple[str, str]:
    """`Type: message`, without the frames of a JVM, and the traceback from the application on."""
    kind = type(error)
    trace: TracebackType | None = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename != application:
        trace = trace.tb_next
    head = f"{kind.__qualname__}: {error}".partition("\n\tat ")[0].strip().removesuffix(":")
    return head, "".join(traceback.format_exception(kind, error, trace))


if __name__ == "__main__":
    main(sys.argv[1], Path(os.environ["TASKEXEC_RESULT"]).parent)
