"""Fifty kills: each command dies at some of its file operations, drawn by a seed, and is run again.

``python -m tests.attacks.sweep`` kills at all of them.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.attacks.scenarios import SCENARIOS
from tests.attacks.trials import Place
from tests.support.processes import import_all

KILLS = {name: 4 if name.startswith("study") else 7 for name in SCENARIOS}
"""Scenario -> kills; a study takes longer than the others."""

SEED = 12


def drawn_shares() -> dict[str, list[float]]:
    """Draw where to kill: 0 is the first operation of a command, 1 the end."""
    chance = random.Random(SEED)
    return {name: [chance.random() for _ in range(kills)] for name, kills in KILLS.items()}


@pytest.mark.parametrize(("name", "shares"), drawn_shares().items(), ids=list(SCENARIOS))
def test_a_killed_command_loses_nothing_and_ends_the_same_when_run_again(
    name: str, shares: list[float], tmp_path: Path
) -> None:
    import_all()
    place = Place(name, tmp_path)
    whole = place.undisturbed()
    operations = len(whole.operations)
    kills = sorted({1 + int(share * operations) for share in shares})
    wrong = {f"{kill_at}: {whole.operations[kill_at - 1]}": place.trial(kill_at, whole) for kill_at in kills}
    assert not {operation: what for operation, what in wrong.items() if what}


def test_the_kills_are_fifty() -> None:
    assert sum(KILLS.values()) == 50
