import pytest
from pydantic import TypeAdapter, ValidationError

from service.contracts.version_ranges import VersionRange, fits


@pytest.mark.parametrize(
    ("wanted", "within", "outside"),
    [
        (">=1.2", ["1.2.0", "1.10.0", "2.0.0"], ["1.1.9", "1.2.0-rc.1", "2.0.0-rc.1"]),
        ("^1.2", ["1.2.0", "1.9.9"], ["2.0.0", "1.1.0"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0", "1.2.2"]),
        ("1.x", ["1.0.0", "1.9.0"], ["2.0.0"]),
        (">=1.2 <2", ["1.2.0", "1.9.0"], ["2.0.0", "1.1.0"]),
        ("1.x || 3.x", ["1.0.0", "3.1.0"], ["2.0.0"]),
        ("1.2.0", ["1.2.0", "1.2.0+build.5"], ["1.2.1"]),
        (">=1.2.0-rc.1", ["1.2.0-rc.2", "1.2.0"], ["1.3.0-rc.1"]),
        ("draft", ["draft"], ["1.0.0"]),
        ("*", ["1.0.0"], ["draft", "1.0.0-rc.1"]),
        (None, ["draft", "1.0.0-rc.1", "1.0.0"], []),
    ],
)
def test_a_range_holds_what_npm_says(wanted: str | None, within: list[str], outside: list[str]) -> None:
    assert [version for version in (*within, *outside) if fits(version, wanted)] == within


@pytest.mark.parametrize("text", ["", "latest", ">=1.2,<2", ">>1", "1.2.3.4", "x" * 101])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(VersionRange).validate_python(text)
