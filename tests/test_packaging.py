"""What ships beside the code is valid."""

import os
import shutil
import subprocess
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
