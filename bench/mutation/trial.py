"""Runs tests against a mutated module, in a process of its own that is forked where pytest is loaded already."""

import os
import resource
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from multiprocessing import get_context
from pathlib import Path
from types import CodeType

from hypothesis import Phase, settings

PRELOADED = ["pytest", "hypothesis.stateful", "schemathesis", "pydantic", "msgspec", "aiokafka", "fastapi.testclient"]
"""What takes long to import and knows nothing of the modules under test."""

MEMORY = 4 << 30
"""Bytes that a mutant may hold: some would fill the machine."""

_forks = get_context("forkserver")
_forks.set_forkserver_preload(PRELOADED)


class Outcome(StrEnum):
    """What came of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    TIMED_OUT = "timed out"


def attempt(root: Path, file: str, mutated: str, tests: Sequence[str], seconds: float) -> Outcome:
    """Run `tests`, to the first failure, where `file` reads as `mutated`; both are relative to `root`."""
    process = _forks.Process(target=_run, args=(root, file, mutated, tests))
    process.start()
    process.join(seconds)
    timed_out = process.is_alive()
    if process.pid:  # and all that its tests have started
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
    process.join()
    if timed_out:
        return Outcome.TIMED_OUT
    return Outcome.KILLED if process.exitcode else Outcome.SURVIVED


def _run(root: Path, file: str, mutated: str, tests: Sequence[str]) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    os.chdir(root)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root))
    sys.meta_path.insert(0, _Finder(root / file, file.removesuffix(".py").replace("/", "."), mutated))
    import pytest  # noqa: PLC0415 - loaded already where this is forked

    options = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=0"]
    for some in (tests[:1], tests[1:]):  # to collect all others takes longer than to run the first
        if some and (code := pytest.main([*options, *some], plugins=[_FirstFailure()])):
            os._exit(code)
    os._exit(0)


class _FirstFailure:
    """Hypothesis need not look for the smallest example, nor remember it."""

    def pytest_collection_finish(self) -> None:
        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", settings(), phases=phases, database=None)
        settings.load_profile("mutants")


class _Finder(MetaPathFinder):
    def __init__(self, path: Path, name: str, mutated: str) -> None:
        self._path, self._name, self._mutated = path, name.removesuffix(".__init__"), mutated

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:  # noqa: ARG002 - Python's signature
        if fullname != self._name:
            return None
        return spec_from_file_location(fullname, self._path, loader=_Loader(fullname, str(self._path), self._mutated))


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, mutated: str) -> None:
        super().__init__(fullname, path)
        self._mutated = mutated

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - Python's signature
        return compile(self._mutated, self.path, "exec", dont_inherit=True)
