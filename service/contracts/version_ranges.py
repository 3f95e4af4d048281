"""Ranges of task versions, as npm writes them: `>=1.2`, `^1.2`, `~1.2.3`, `1.x`, `>=1.2 <2`, `1.x || 3.x`."""

from functools import lru_cache
from typing import Annotated, Any, Final

import nodesemver as _untyped  # pyright: ignore[reportMissingTypeStubs]
from pydantic import AfterValidator, StringConstraints

_nodesemver: Final[Any] = _untyped

DRAFT: Final = "draft"


def _range(text: str) -> str:
    if text != DRAFT:
        _ranged(text)
    return text


VersionRange = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_range)]
"""What versions a worker can run. A pre-release is in it only where the range names one of the same version.

`draft` is the version of that name, and in no range.
"""


@lru_cache(maxsize=10_000)  # the same few of both are asked for with every execution
def fits(version: str, wanted: str | None) -> bool:
    """Whether the version is in this range; without one, every version is.

    Raises:
        ValueError: it is no range.
    """
    if wanted is None or DRAFT in (version, wanted):
        return wanted in (None, version)
    return bool(_ranged(wanted).test(version))


@lru_cache(maxsize=1_000)
def _ranged(text: str) -> Any:  # noqa: ANN401 - the library has no annotations
    try:
        return _nodesemver.make_range(text, loose=False)
    except ValueError:
        raise ValueError("must be a version or a range as npm has them: >=1.2, ^1.2, 1.x, >=1.2 <2") from None
