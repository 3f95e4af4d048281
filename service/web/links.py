"""Where links of the pages lead."""

from urllib.parse import urlencode

from pydantic.alias_generators import to_camel


def link(path: str, **parameters: object) -> str:
    """The path with these parameters, named as the API names them; those that are None are left out."""
    given = {to_camel(name): str(value) for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path
