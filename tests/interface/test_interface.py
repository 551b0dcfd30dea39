"""The four names at the top of the package, and the examples in their documentation."""

from __future__ import annotations

import doctest
import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import beir_hybrid
from beir_hybrid.interface import evaluate_model, model_comparison, rank_figures, result

ROOT = Path(__file__).parents[2]
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


def test_the_example_runs_and_is_what_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = ROOT / "examples" / "own_data.py"
    code = example.read_text(encoding="utf-8")
    assert f"```python\n{code}```\n" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert len([line for line in code.splitlines() if line]) <= 22
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example))
    printed = capsys.readouterr().out
    for said in ("callable/letters on HelpCentre, mAP", "callable/letters less callable/words", "multilingual mAP"):
        assert said in printed
    kinds = {path.suffix for path in (tmp_path / "own-data").rglob("*") if path.is_file()}
    assert kinds >= {".parquet", ".json", ".png", ".svg"}
