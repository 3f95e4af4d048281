from pathlib import Path

import pytest

from service.embedded.errors import EmbeddedError
from service.embedded.java import find_java

HOW = (
    "install one (Debian: apt install default-jre-headless, or openjdk-17-jre-headless), or use `docker compose up`, "
    "or name a broker of your own in KAFKA_BOOTSTRAP_SERVERS."
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return tmp_path


def says(home: Path, script: str) -> None:
    (home / "bin").mkdir()
    (home / "bin" / "java").write_text(f"#!/bin/sh\n{script}\n")
    (home / "bin" / "java").chmod(0o755)


def refusal() -> str:
    with pytest.raises(EmbeddedError) as error:
        find_java()
    return str(error.value)


def test_the_java_on_the_path_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert int(find_java().version.split(".")[0]) >= 17


def test_without_java_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    assert refusal() == f"The embedded Kafka needs Java 17 or newer and found none: {HOW}"


@pytest.mark.parametrize("version", ["1.8.0_292", "11.0.2", "16"])
def test_an_old_java_is_named(home: Path, version: str) -> None:
    says(home, f"echo 'openjdk version \"{version}\" 2021' >&2")
    assert refusal() == f"The embedded Kafka needs Java 17 or newer; {home}/bin/java is {version}: {HOW}"


@pytest.mark.parametrize("version", ["17", "21.0.1", "25-ea"])
def test_a_new_java_is_taken(home: Path, version: str) -> None:
    says(home, f"echo 'Picked up JAVA_TOOL_OPTIONS: -Dx' >&2; echo 'java version \"{version}\"' >&2")
    assert find_java().version == version


def test_a_java_home_without_java_is_named(home: Path) -> None:
    assert refusal() == f"{home}/bin/java doesn't run (No such file or directory): correct JAVA_HOME, or {HOW}"


def test_a_java_that_fails_is_named(home: Path) -> None:
    says(home, "echo 'Error: could not create the machine' >&2; exit 1")
    assert refusal() == f"{home}/bin/java doesn't tell its version (Error: could not create the machine): {HOW}"
