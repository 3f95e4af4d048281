"""docs/cli.md: runs what it shows. `make cli-page` writes what the commands print into it."""

import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.e2e.documents import ROOT, settle
from tests.e2e.process import Up, up

PAGE: Final = ROOT / "docs" / "cli.md"
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WIDTH: Final = "118"
_VARYING: Final = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\b\d+[smhd] ago", "AGE"),
    (r"\b\d+(\.\d+)? s\b", "SECONDS"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"\b\d:\d+\b", "POSITION"),
    (r"\b\d+ (offsets|commands)", "SOME"),
    (r"(python|java|maven|disk \(data\)|ports): .*", "MACHINE"),
    (r"\b\d+ ok, \d+ to look at", "COUNTS"),
    (r"/[\w./-]*/", "DIRECTORY/"),
    (r"(?m)^(task\S+ +\d+) .*$", r"\1"),  # how much is in a topic
    (r" +", " "),
)


def commands(block: str) -> list[str]:
    """The commands of a block, each with the lines that it goes on in."""
    found: list[str] = []
    within = ""
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
            within = line.partition("<<'")[2].rstrip("'")
        elif within or (found and found[-1].endswith("\\")):
            found[-1] += f"\n{line}"
            within = "" if line == within else within
    return found


def alike(text: str) -> str:
    """The text without what is different each time."""
    for pattern, name in _VARYING:
        text = re.sub(pattern, name, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def rewritten(text: str, run: Callable[[str], str]) -> str:
    """The page with what its commands print now."""

    def block(found: re.Match[str]) -> str:
        ran = [f"$ {command}\n{run(command)}" for command in commands(found[1])]
        return "".join(["```console\n", *ran, "```"])

    return _BLOCK.sub(block, text)


def on_a_terminal(service: Up, directory: Path) -> Callable[[str], str]:
    """Runs commands as somebody types them, each when answers have what the one before has done."""
    variables = service.environment | {
        "COLUMNS": _WIDTH,
        "NO_COLOR": "1",
        "TERM": "xterm-256color",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TASKEXEC_CONFIG": str(directory / "config.toml"),
        "TASKEXEC_DATA_DIR": str(directory),
    }

    as_elsewhere = (
        (f"{directory}/config.toml", "~/.config/task-execution-service/config.toml"),
        (str(directory), "~/.local/share/task-execution-service"),
        (f"{Path(sys.prefix).parent}/", ""),
        (str(Path.home()), "~"),
        (", TASKEXEC_CONFIG, TASKEXEC_DATA_DIR", ""),
    )

    def run(command: str) -> str:
        settle(service.url)
        ours, its = pty.openpty()
        done = subprocess.Popen(
            ["bash", "-c", command], cwd=directory, env=variables, stdin=subprocess.DEVNULL, stdout=its, stderr=its
        )
        os.close(its)
        text = b"".join(_chunks(ours)).decode()
        done.wait(60)
        os.close(ours)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)
        for ours_only, theirs in as_elsewhere:
            text = text.replace(ours_only, theirs)
        return "".join(f"{line.rstrip()}\n" for line in text.splitlines())

    return run


def _chunks(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # its other end is closed
            return
        if not chunk:
            return
        yield chunk


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as scratch, up(Path(scratch) / "data") as service:
        PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), on_a_terminal(service, Path(scratch))))


if __name__ == "__main__":
    main()
