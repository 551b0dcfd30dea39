"""examples/train_hybrid.py: it is as short as promised, it runs, and what it saves is a model."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

from tests.support.small_models import save_labse
from tests.tasks.test_xquad_r import use_small_data

SCRIPT = Path(__file__).parents[2] / "examples" / "train_hybrid.py"
README = Path(__file__).parents[2] / "README.md"
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_it_is_25_lines() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= 25


def test_the_documentation_shows_it_as_it_is() -> None:
    assert SCRIPT.read_text() in (SCRIPT.parents[1] / "docs" / "training.md").read_text()


def test_the_lines_in_the_readme_train_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_data(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    base = save_labse(tmp_path / "base")
    (lines,) = (block for block in CODE.findall(README.read_text(encoding="utf-8")) if "HybridBatchSampler" in block)
    for shown, small in (("intfloat/multilingual-e5-small", str(base)), ("batch_size=64", "batch_size=2")):
        assert shown in lines
        lines = lines.replace(shown, small)
    exec(compile(lines, str(README), "exec"), {})
    trained = SentenceTransformer("my-model")
    assert trained.encode_query("en question q0?").shape == (16,)
    assert trained.prompts["document"] == "passage: "


def test_it_trains_and_evaluates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_small_data(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    base = save_labse(tmp_path / "base")
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(base), "mlqa-r", "out"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "'xquad-r_multilingual_map': " in capsys.readouterr().out
    assert SentenceTransformer("out").encode("en question q0?").shape == (16,)
