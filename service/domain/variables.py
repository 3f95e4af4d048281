"""The input or output variables of a definition: what their values must be, and what they are where none is given."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import SchemaValidator, ValidationError, core_schema

from service.contracts.codec import pointer
from service.contracts.definitions import Variable
from service.contracts.problems import FieldError, field_errors, listed
from service.domain.patterns import Budget, Patterns
from service.domain.rules import Compiler


class Variables:
    """The variables of a list, compiled into one validator. `flaws` say why that cannot be used, if there are any."""

    def __init__(self, kind: str, field: str, variables: Sequence[Variable]) -> None:
        self._kind = kind
        self._defaults = {variable.name: variable.default_value for variable in variables}
        self._patterns = Patterns()
        self.flaws: list[FieldError] = []
        fields: dict[str, core_schema.TypedDictField] = {}
        compiler = Compiler(self._patterns)
        for index, variable in enumerate(variables):
            schema, flaws = compiler.compile(variable)
            if variable.name in fields:
                flaws.append((("name",), "is the name of another variable as well"))
            fields[variable.name] = core_schema.typed_dict_field(schema, required=variable.required)
            self.flaws += (
                FieldError(pointer=pointer("#", field, index, *where), detail=f"{variable.name}: {what}")
                for where, what in flaws
            )
        self._validator = SchemaValidator(core_schema.typed_dict_schema(fields, extra_behavior="forbid"))

    def filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every variable's value. A null for an optional variable means that it was not given."""
        return {
            name: default if (value := given.get(name)) is None else value for name, default in self._defaults.items()
        }

    def errors(self, given: Mapping[str, Any]) -> tuple[FieldError, ...]:
        """All that is wrong with the values; of very many, the first ones."""
        try:
            self._validator.validate_python(listed(given, self._defaults), context=Budget() if self._patterns else None)
        except ValidationError as error:
            return field_errors(error, self._defaults, self._kind)
        return ()
