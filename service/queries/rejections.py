"""Refused commands, as they are asked for."""

from service.contracts.problems import Code, Problem, reject
from service.contracts.rejections import OriginalRecord
from service.contracts.replies import Position
from service.contracts.timestamps import from_epoch_ms
from service.ports.read_model import ReadModel, RejectionPlace, StoredRejection
from service.queries.answers import TaskCommandRejection, TaskCommandRejectionPage
from service.queries.requests import GetTaskCommandRejection, ListTaskCommandRejections


async def rejection_page(read_model: ReadModel, request: ListTaskCommandRejections) -> TaskCommandRejectionPage:
    """Newest first.

    Raises:
        UnavailableError: the read model cannot be reached now.
    """
    after = None if request.cursor is None else RejectionPlace(*map(int, request.cursor.split(":")))
    total, found = await read_model.rejections(request, request.page_size + 1, after)
    shown = found[: request.page_size]
    more = len(found) > len(shown)
    return TaskCommandRejectionPage(
        items=tuple(map(_told, shown)),
        total=max(total, len(shown)),
        page_size=request.page_size,
        next_cursor=":".join(map(str, shown[-1].place)) if more else None,
    )


async def one_rejection(read_model: ReadModel, request: GetTaskCommandRejection) -> TaskCommandRejection:
    """With the refused record.

    Raises:
        RejectedError: NOT_FOUND, there is none at this position.
        UnavailableError: the read model cannot be reached now.
    """
    place = Position.parse(request.position)
    found = await read_model.rejection(place.partition, place.offset)
    if found is None:
        detail = f"No refused command is at {request.position}. Give the `position` of one from their list."
        raise reject(Code.NOT_FOUND, detail)
    return _told(found)


def _told(stored: StoredRejection) -> TaskCommandRejection:
    return TaskCommandRejection(
        position=Position(partition=stored.partition, offset=stored.offset),
        rejected_at=from_epoch_ms(stored.rejected_ms),
        execution_id=stored.execution_id,
        command_type=stored.command_type or None,
        command_source=stored.command_source or None,
        problem=Problem.model_validate_json(stored.problem),
        record=OriginalRecord.model_validate_json(stored.record) if stored.record else None,
    )
