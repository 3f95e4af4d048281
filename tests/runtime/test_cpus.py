from pathlib import Path

from service.runtime.cpus import available_cpus


def test_a_control_group_limits_the_cpus(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    unlimited = available_cpus(quota)
    assert unlimited >= 1
    for text, cpus in {"50000 100000": 1, "100000 100000": 1, "max 100000": unlimited}.items():
        quota.write_text(f"{text}\n", encoding="ascii")
        assert available_cpus(quota) == cpus
