"""The life of an owned partition, written out: what may follow what."""

import pytest

from service.handling.phases import NEXT_PHASES, Phase

MAY = {("opening", "open"), ("opening", "closed"), ("open", "opening"), ("open", "parked"), ("open", "closed"),
       ("parked", "open"), ("parked", "closed")}  # fmt: skip


@pytest.mark.parametrize("phase", Phase)
def test_what_may_follow(phase: Phase) -> None:
    assert {(phase.value, after.value) for after in NEXT_PHASES[phase]} == {step for step in MAY if step[0] == phase}


def test_nothing_follows_the_end_and_every_phase_leads_to_it() -> None:
    assert NEXT_PHASES[Phase.CLOSED] == set()
    assert all(Phase.CLOSED in after for phase, after in NEXT_PHASES.items() if phase is not Phase.CLOSED)
