"""What the API answers beside executions, queries and problems."""

from service.contracts.model import Contract


class UnansweredCommand(Contract):
    """A command that was sent, and has no reply yet: whether it is accepted is not known.

    Sent again with the same `Idempotency-Key`, it is answered, and not carried out twice.
    """

    execution_id: str
    idempotency_key: str
    detail: str
