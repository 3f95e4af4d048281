"""What was handled is known after a restart, and no more of it than was asked for is kept."""

from pathlib import Path

from service.client.seen import SeenEvents


def test_an_id_is_known_once_it_was_added_also_after_a_restart(tmp_path: Path) -> None:
    with SeenEvents(tmp_path / "seen") as seen:
        assert "a/1" not in seen
        seen.add("a/1")
        assert "a/1" in seen
    with SeenEvents(tmp_path / "seen") as seen:
        assert "a/1" in seen
        assert "a/2" not in seen


def test_what_is_not_closed_is_known_all_the_same(tmp_path: Path) -> None:
    killed = SeenEvents(tmp_path / "seen")
    killed.add("a/1")
    with killed, SeenEvents(tmp_path / "seen") as seen:
        assert "a/1" in seen


def test_the_newest_are_kept(tmp_path: Path) -> None:
    with SeenEvents(tmp_path / "seen", keep=3) as seen:
        for number in (1, 2, 3, 2, 4, 4, 5):
            seen.add(f"a/{number}")
        assert len(seen) == 3
        assert [number for number in range(1, 6) if f"a/{number}" in seen] == [3, 4, 5]
