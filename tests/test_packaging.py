"""What ships beside the code is valid."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_compose_file_is_valid() -> None:
    command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    if shutil.which("docker-compose") is None and subprocess.run(command, capture_output=True, check=False).returncode:
        if os.environ.get("CI"):
            pytest.fail("CI needs docker-compose")
        pytest.skip("neither docker-compose nor docker compose is installed")
    ran = subprocess.run([*command, "config"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "127.0.0.1:8080:8080" in ran.stdout or "host_ip: 127.0.0.1" in ran.stdout


def test_one_version_of_uv_is_named_everywhere() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    version = next(line.split()[-1] for line in makefile.splitlines() if line.startswith("UV_VERSION"))
    assert f"uv=={version}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_wheel_says_that_it_is_typed(tmp_path: Path) -> None:
    build = [str(ROOT / ".tools/bin/uv"), "build", "--wheel", "--quiet", "--python", sys.executable, "--out-dir"]
    subprocess.run([*build, str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        assert "service/py.typed" in files.namelist()


def test_one_range_of_pythons_is_named_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.15"
    minors = [line.rpartition(".")[2] for line in project["classifiers"] if "Python :: 3." in line]
    assert minors == ["11", "12", "13", "14"]
    assert "(3, 11) <= sys.version_info < (3, 15)" in (ROOT / "Makefile").read_text(encoding="utf-8")
    for document in ("README.md", "CONTRIBUTING.md"):
        assert "Python 3.11 to 3.14" in (ROOT / document).read_text(encoding="utf-8")
