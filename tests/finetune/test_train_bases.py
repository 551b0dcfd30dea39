"""`beir-hybrid train` on bases of every kind: it trains, or says in one line why not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mteb
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from beir_hybrid import cli
from beir_hybrid.finetune import head, run_trainer
from tests.models.test_model_folders import DENSE, cross, plain, save, sparse, static
from tests.tasks.test_xquad_r import use_small_data

SETTINGS = ["--data", "xquad-r", "--languages", "en,de", "--batch-size", "2", "--steps", "2", "--quiet"]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    return use_small_data(tmp_path, monkeypatch)


def frozen(folder: Path) -> Path:
    """Save a model that is loaded frozen, as an adapter is."""
    return save(folder, Transformer(str(plain(folder.with_name("parts")))), Pooling(16))


def named_routes(folder: Path) -> Path:
    return save(folder, Router({"left": [static(0)], "right": [static(1)]}, default_route="left"), Normalize())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return a function that runs the command and gives its exit code and its last line of error."""

    def run(base: Path, *more: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["beir-hybrid", "train", "--base", str(base), *SETTINGS, *more])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), (capsys.readouterr().err.strip().splitlines() or [""])[-1]

    return run


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("static", ["--preset", "laptop"]),
        ("static", ["--tune", "head", "--max-length", "1"]),
        ("static of version 3", []),
        ("model2vec, quantised", []),
        ("router", ["--preset", "laptop"]),
        ("plain transformers", ["--max-length", "8", "--gradient-cache"]),
        ("bag of words", ["--tune", "head"]),
    ],
)
def test_it_trains_and_what_it_writes_can_be_evaluated(
    kind: str, options: list[str], tmp_path: Path, run: Callable[..., tuple[int, str]]
) -> None:
    base = DENSE[kind](tmp_path / "base")
    assert run(base, "--output", "out", *options)[0] == 0
    before, after = SentenceTransformer(str(base), device="cpu"), mteb.get_model("out", device="cpu")
    texts = ["de sentence 2", "question q1"]
    assert (after.model.encode_query(texts) != before.encode_query(texts)).any()
    if "--max-length" in options and kind == "static":
        ones = [after.model.encode(text) for text in ("de", "de sentence 2")]
        assert (ones[0] == ones[1]).all()  # texts are cut there, too


@pytest.mark.parametrize(
    ("make", "options", "expected"),
    [
        (DENSE["static"], ["--gradient-cache"], "--gradient-cache: base is a static model"),
        (DENSE["router"], ["--tune", "head"], "different encoders for questions and answers (Router)"),
        (DENSE["router"], ["--gradient-cache"], "--gradient-cache: base is a static model"),
        (named_routes, [], "--base base has no route for questions and answers"),
        (DENSE["bag of words"], [], "--base base has no weights that can be trained"),
        (DENSE["bag of words"], ["--tune", "head", "--max-length", "0"], "--max-length 0: it must be greater than 0"),
        (DENSE["plain transformers"], ["--max-length", "999"], "--max-length 999: base takes texts of up to 32 tokens"),
        (sparse, [], "is a SparseEncoder, not a SentenceTransformer"),
        (cross, [], "is a CrossEncoder, not a SentenceTransformer"),
        (DENSE["static"], ["--eval", "ntrex"], "ntrex is no retrieval corpus"),
        (DENSE["static"], ["--eval", "atlas"], "unknown data set 'atlas'; known: xquad-r, mlqa-r, atlas-r"),
    ],
)
def test_or_it_says_why_not(
    make: Callable[[Path], Path], options: list[str], expected: str, tmp_path: Path, run: Callable[..., tuple[int, str]]
) -> None:
    code, line = run(make(tmp_path / "base"), "--output", "out", *options)
    assert code == 2
    assert expected in line
    assert not (tmp_path / "out").exists()


def test_a_frozen_base_is_one_line(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    init = SentenceTransformer.__init__

    def loaded_frozen(self: SentenceTransformer, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.requires_grad_(False)

    monkeypatch.setattr(SentenceTransformer, "__init__", loaded_frozen)
    code, line = run(frozen(tmp_path / "base"), "--output", "out")
    assert code == 2
    assert "has no weights that can be trained (those of an adapter's folder are frozen)" in line


def test_a_module_that_fails_in_the_first_step_is_one_line(
    tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise NotImplementedError("no backward\npass")

    monkeypatch.setattr(run_trainer.HybridContrastiveLoss, "forward", fail)
    code, line = run(DENSE["static"](tmp_path / "base"), "--output", "out")
    assert code == 2
    assert line.endswith("the base cannot be trained like this: NotImplementedError: no backward pass")


def test_embeddings_of_cut_texts_are_kept_apart(tmp_path: Path) -> None:
    whole, short = (SentenceTransformer(modules=[static()], device="cpu") for _ in range(2))
    short[0].tokenizer.enable_truncation(1)
    caches = [head.head_model(model, "revision")[0]._caches[""].folder for model in (whole, short)]
    assert caches[0] != caches[1]
