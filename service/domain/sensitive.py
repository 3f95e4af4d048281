"""Which values of a command are sensitive, and what is left of it without them."""

from typing import Any

from service.contracts.sensitive import Sensitive, sealed, withhold
from service.domain.definitions import Definition
from service.domain.execution import Execution


def marks(state: Execution | None, definition: Definition | None) -> Sensitive | None:
    """The variables that are sensitive, by the execution or by the definition; None if none is.

    An execution keeps the marks that it was made with: its definition can be withdrawn.
    """
    remembered = None if state is None else state.sensitive
    defined = None if definition is None else definition.sensitive
    if remembered is None or defined is None or remembered == defined:
        return remembered or defined
    inputs, outputs = {*remembered.inputs, *defined.inputs}, {*remembered.outputs, *defined.outputs}
    return Sensitive(tuple(sorted(inputs)), tuple(sorted(outputs)))


def without(data: dict[str, Any], sensitive: Sensitive) -> dict[str, Any]:
    """A command's data without its sensitive values: what may be hashed, for a hash lets a weak secret be guessed."""
    names = {"inputs": sensitive.inputs, "outputs": sensitive.outputs}
    return {key: sealed(value, names[key], withhold) if key in names else value for key, value in data.items()}
