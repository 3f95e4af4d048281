"""The order of a task's versions."""

from semver import Version

_DRAFT = "draft"


def newest_last(version: str) -> tuple[()] | tuple[Version, str]:
    """The key to sort versions by: semantic versions by their precedence, `draft` before all.

    What differs in its build metadata only has the same precedence (Semantic Versioning 2.0.0, item 10); it is
    sorted by its text, so that the order is always the same.
    """
    if version == _DRAFT:
        return ()
    return Version.parse(version).replace(build=None), version
