"""XQuAD-R exported as a folder gives the rank table of the built-in corpus, row for row, with every kind of model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mteb
import pandas as pd
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

import beir_hybrid as bh
from beir_hybrid import cli
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from beir_hybrid.tasks import XQuADR
from tests.interface.test_any_model import KINDS
from tests.support import small_xquad
from tests.support.command_line import exit_code
from tests.support.tiny_model import tiny_model

FORMATS = ("jsonl", "parquet")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep rank tables in a folder of the test."""
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    SHARED_RUNS.clear()
    yield
    SHARED_RUNS.clear()


def built_in(model: Any, folder: Path) -> pd.DataFrame:
    """Return the rank table of `mteb.evaluate` of the built-in task."""
    task = XQuADR()
    task.ranks_folder = folder
    mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
    [path] = (folder / "ranks").rglob("*.parquet")
    return rank_table.read(path)[0].to_pandas()


def exported(folder: Path, form: str) -> Path:
    """Export the corpus as a folder, by the command."""
    with pytest.raises(SystemExit) as end:
        cli.main(["export", "xquad-r", "--out", str(folder / form), "--format", form, "--quiet"])
    assert not end.value.code
    return folder / form / "xquad-r"


@pytest.mark.parametrize("form", FORMATS)
def test_a_small_one_with_every_kind_of_model(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(small_xquad.write(tmp_path / "data")))
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    expected, revision = built_in(tiny_model(), tmp_path / "mteb"), XQuADR().metadata.revision
    corpus = exported(tmp_path, form)
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(tmp_path / "nowhere"))
    for kind in ("SentenceTransformer", "model of MTEB", "callable, numpy", "EvaluateRetrieval"):
        SHARED_RUNS.clear()
        result = bh.evaluate(KINDS[kind](), corpus, progress=False)
        pd.testing.assert_frame_equal(result.ranks, expected)
        assert result.info.task == XQuADR.metadata.name
        assert result.info.dataset_revision == revision
    tiny_model().save(str(tmp_path / "tiny"), create_model_card=False)
    arguments = ["evaluate", "-m", tmp_path / "tiny", "--data", corpus, "--out", tmp_path / "out", "--quiet"]
    assert exit_code(*arguments) == 0
    [path] = (tmp_path / "out").rglob("*.parquet")
    pd.testing.assert_frame_equal(rank_table.read(path)[0].to_pandas(), expected)


def letters_of(corpus: Any) -> SentenceTransformer:
    """Make a model that averages random vectors of a text's letters, fast enough for real data."""
    letters = sorted({letter for part in corpus.languages.values() for text in part.passages for letter in text})
    tokenizer = Tokenizer(WordLevel({letter: number for number, letter in enumerate(["[UNK]", *letters])}, "[UNK]"))
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    weights = torch.randn(len(letters) + 1, 64, generator=torch.Generator().manual_seed(0))
    module = StaticEmbedding(tokenizer, embedding_weights=weights.numpy())
    return SentenceTransformer(modules=[module], device="cpu")


@pytest.mark.real_data
def test_the_real_one_in_both_formats(tmp_path: Path) -> None:
    model = letters_of(bh.load("xquad-r"))
    expected = built_in(model, tmp_path / "mteb")
    assert len(expected) == 11 * 11 * 1190
    result = bh.evaluate(model, exported(tmp_path, "jsonl"), progress=False)
    pd.testing.assert_frame_equal(result.ranks, expected)
    assert result.info.dataset_revision == XQuADR().metadata.revision
    some = ["en", "th", "zh"]
    by_name = bh.evaluate(model, "xquad-r", languages=some, progress=False)
    by_folder = bh.evaluate(model.encode, exported(tmp_path, "parquet"), languages=some, progress=False)
    pd.testing.assert_frame_equal(by_folder.ranks, by_name.ranks)
    assert by_folder.info.task == by_name.info.task
    assert by_folder.info.dataset_revision == by_name.info.dataset_revision
