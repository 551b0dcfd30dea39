"""The four names at the top of the package, and the examples in their documentation."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from types import ModuleType

import pytest

import beir_hybrid
from beir_hybrid.interface import evaluate_model, model_comparison, rank_figures, result

NAMES = {"RankTable", "compare", "evaluate", "load"}


def test_the_names_are_listed_and_loaded_when_they_are_used() -> None:
    code = f"""
import json, sys
sys.path[:0] = {sys.path!r}
import beir_hybrid
print(json.dumps([dir(beir_hybrid), [name for name in sys.modules if name.startswith("beir_hybrid")]]))
"""
    # Without the packages of the environment, whose hook is a module of ours.
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    listed, loaded = json.loads(done.stdout)
    assert set(listed) >= NAMES
    assert loaded == ["beir_hybrid"]
    assert all(callable(getattr(beir_hybrid, name)) for name in NAMES)
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        beir_hybrid.lode  # noqa: B018


@pytest.mark.parametrize("module", [evaluate_model, model_comparison, rank_figures, result], ids=lambda m: m.__name__)
def test_the_examples_in_the_documentation_run(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
