"""In which order the versions of a task come: that of semantic versions."""

from service.definitions.ordering import newest_last

ORDERED = (
    "draft", "0.0.1-alpha", "0.0.1", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
    "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.0+build.1", "1.0.0+build.2", "1.2.0", "1.10.0", "2.0.0-rc.1+x",
    "2.0.0", "99999999999999999999.0.0",
)  # fmt: skip


def test_versions_are_ordered_as_semantic_versioning_says_and_drafts_come_first() -> None:
    shuffled = sorted(ORDERED, key=lambda version: version[::-1])
    assert tuple(sorted(shuffled, key=newest_last)) == ORDERED


def test_build_metadata_has_no_precedence() -> None:
    assert newest_last("1.0.0+a")[:1] == newest_last("1.0.0+b")[:1]
