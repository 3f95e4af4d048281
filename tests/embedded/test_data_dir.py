import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.embedded.data_dir import data_directory
from service.embedded.errors import EmbeddedError

HOLD = """if True:
    import sys, pathlib
    from service.embedded.data_dir import data_directory
    with data_directory(pathlib.Path(sys.argv[1])):
        print("mine", flush=True)
        sys.stdin.read()
"""


@contextmanager
def another_holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        yield process


def refusal(path: Path) -> str:
    with pytest.raises(EmbeddedError) as error, data_directory(path):
        pass
    return str(error.value)


def test_it_is_created_and_its_absolute_path_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with data_directory(Path("a/b")) as path:
        assert path == tmp_path / "a" / "b"
        assert [file.name for file in path.iterdir()] == ["lock"]


def test_one_process_has_it_at_a_time(tmp_path: Path) -> None:
    with another_holder(tmp_path):
        assert refusal(tmp_path) == (
            f"The data directory {tmp_path} is in use by another process: stop that one, or choose another directory "
            "with --data-dir."
        )
    with data_directory(tmp_path):
        pass


def test_a_killed_process_no_longer_has_it(tmp_path: Path) -> None:
    with another_holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with data_directory(tmp_path):
            pass


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), data_directory(tmp_path):
        raise ZeroDivisionError
    with data_directory(tmp_path):
        pass


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file") == (
        f"The data directory {tmp_path}/file can't be used (File exists): make it a directory that you may write to, "
        "or choose another one with --data-dir."
    )


def test_a_directory_that_cannot_be_written_to_is_refused(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert f"{small_disk} can't be used (Read-only file system): make it" in refusal(small_disk)
    assert f"{small_disk}/new can't be used (Read-only file system): make it" in refusal(small_disk / "new")


def test_a_nearly_full_disk_is_refused(small_disk: Path) -> None:
    assert refusal(small_disk / "data") == (
        f"The disk of the data directory {small_disk}/data has 0 MB left, and at least 200 MB are needed: free some, "
        "or choose another directory with --data-dir."
    )
