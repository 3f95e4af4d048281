"""Ids of executions as people type them: whole, or how they begin."""

import re
from typing import Final

from service.cli.exits import CommandError, Exit
from service.cli.remote import Remote, path_of
from service.ports.filters import ID_PREFIX

_WHOLE: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_SHOWN: Final = 10


def whole_id(remote: Remote, text: str) -> str:
    """The id of the one execution whose id begins so; an id that is whole is not looked up.

    Raises:
        CommandError: there is none, or more than one, or it is not how an id begins.
    """
    if _WHOLE.fullmatch(text):
        return text
    if not re.fullmatch(ID_PREFIX, text := text.lower()):
        raise CommandError(
            Exit.USAGE, f"'{text}' is not how an id begins.", "Give the id, or 4 to 18 characters from its beginning."
        )
    page = remote.get(path_of(), {"idPrefix": text, "pageSize": _SHOWN}).body
    found = page["items"]
    if not found:
        raise CommandError(Exit.NOT_FOUND, f"There is no execution whose id begins with {text}.")
    if page["total"] > 1:
        lines = (f"{one['id']}  {one['status']}  {one['taskId']}  {one['metadata']['createdAt']}" for one in found)
        more = [f"and {page['total'] - len(found)} more"] if page["total"] > len(found) else []
        raise CommandError(
            Exit.USAGE, f"The ids of {page['total']} executions begin with {text}. Give more of it:", *lines, *more
        )
    return str(found[0]["id"])
