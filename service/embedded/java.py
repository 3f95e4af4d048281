"""The Java that runs the broker."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.embedded.errors import ALTERNATIVES, EmbeddedError

_NEEDED: Final = 17
_HOW: Final = f"install one (Debian: apt install default-jre-headless, or openjdk-17-jre-headless), {ALTERNATIVES}."
_OPTIONS: Final = (
    "-Xmx512m",
    # Half of a default start is spent on compiling and on the garbage collector's threads.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    # Thousands of lines of default values at each start.
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
)


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that is new enough; `version` is what it calls itself, such as 17.0.15."""

    program: str
    version: str

    def command(self, jars: Path, main_class: str, *options: str) -> list[str]:
        """Return the command line, less arguments, that runs a class of the jars in this folder."""
        # Sorted and without a wildcard: a class archive is only good for the class path it was made with.
        class_path = os.pathsep.join(sorted(str(jar) for jar in jars.glob("*.jar")))
        return [self.program, *_OPTIONS, *options, "-cp", class_path, main_class]


def find_java() -> Java:
    """Find the Java of JAVA_HOME, else of PATH.

    Raises:
        EmbeddedError: there is none, it doesn't run, or it is too old for Kafka.
    """
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if program is None:
        raise EmbeddedError(f"The embedded Kafka needs Java {_NEEDED} or newer and found none: {_HOW}")
    try:
        asked = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)  # noqa: S603 - theirs
    except OSError as error:
        raise EmbeddedError(f"{program} doesn't run ({error.strerror}): correct JAVA_HOME, or {_HOW}") from error
    found = re.search(r'version "((?:1\.)?(\d+)[^"]*)"', asked.stderr)
    if found is None:
        said = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        raise EmbeddedError(f"{program} doesn't tell its version ({said}): {_HOW}")
    if int(found[2]) < _NEEDED:
        raise EmbeddedError(f"The embedded Kafka needs Java {_NEEDED} or newer; {program} is {found[1]}: {_HOW}")
    return Java(program, found[1])
