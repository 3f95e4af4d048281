"""Whether a task that failed is tried again: said by its definition, or by the command."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from service.contracts.bounds import WHOLE
from service.contracts.durations import Delay
from service.contracts.model import Contract


class RetryPolicy(Contract):
    """After a FAILURE, the same inputs run again, as a new execution, until `maxAttempts` have been made.

    The wait before attempt n is `delay` times `backoff` to the power n - 2.
    """

    max_attempts: Annotated[int, Field(strict=True, ge=1, le=100, description="The first one included."), WHOLE]
    delay: Delay = Field(default=timedelta(0), description="The wait before the second attempt.")
    backoff: Annotated[float, Field(strict=True, ge=1, le=10, description="By what each next wait is longer.")] = 1.0
