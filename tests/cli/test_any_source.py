"""Whatever takes a data set takes any source of one: here the folder of a corpus that nobody has registered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import beir_hybrid as bh
from beir_hybrid import corpora
from beir_hybrid.corpora.formats.corpus_folder import export_corpus
from beir_hybrid.debias.sentences import read_sentences
from beir_hybrid.models.manifest import read_manifest
from beir_hybrid.overlap.check import read_evaluation
from beir_hybrid.training.evaluator import MultilingualRetrievalEvaluator
from beir_hybrid.training.pair_sources import pairs_of_corpus
from beir_hybrid.training.pairs import load_pairs, read_source
from tests.support.command_line import exit_code
from tests.support.mteb_models import vector_of
from tests.support.small_models import save_xlm_r
from tests.support.tiny_package import tiny_faq


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_corpus(bh.load(tiny_faq.SPEC), tmp_path_factory.mktemp("corpus"))


def test_its_pairs_are_those_of_the_corpus(folder: Path) -> None:
    pairs, expected = read_source(folder), pairs_of_corpus(bh.load(tiny_faq.SPEC))
    assert pairs.questions == expected.questions and pairs.answers == expected.answers
    assert np.array_equal(pairs.labels, expected.labels)
    assert pairs.source == str(folder) and pairs.training_datasets == {"TinyFAQ", "TinyFAQLanguageBias"}
    assert set(load_pairs(str(folder), languages=["en"])) == {"en-en"}


def test_the_overlap_check_compares_it(folder: Path, tmp_path: Path) -> None:
    texts = {(part.language, part.kind): list(part.texts) for part in read_evaluation(str(folder))}
    assert texts["de", "question"] == [question for question, _ in tiny_faq.TEXTS["de"]]
    assert (
        exit_code("overlap", "--train", folder, "--eval", folder, "--json", tmp_path / "overlap.json", "--quiet") == 1
    )
    shares = {part["share"] for part in json.loads((tmp_path / "overlap.json").read_text(encoding="utf-8"))["overlap"]}
    assert shares == {1.0}


def test_maps_are_fitted_on_its_answers(folder: Path) -> None:
    sentences = read_sentences(str(folder))
    assert sentences.texts == {x: tuple(answer for _, answer in texts) for x, texts in tiny_faq.TEXTS.items()}
    assert sentences.parallel and sentences.source == "tiny-faq"


def test_a_model_is_trained_and_evaluated_on_it(folder: Path, tmp_path: Path) -> None:
    base = save_xlm_r(tmp_path / "base")
    settings: dict[str, Any] = {"data": folder, "eval": folder, "batch-size": 2, "steps": 2, "tune": "full"}
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    assert exit_code("train", "--base", base, *options, "--output", tmp_path / "model", "--quiet") == 0
    manifest = read_manifest(tmp_path / "model")
    assert manifest is not None and manifest.data[0]["source"] == "tiny-faq"
    assert str(folder) not in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert MultilingualRetrievalEvaluator(str(folder)).languages == ("en", "de")


def test_the_leaderboard_shows_ranks_on_it(folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for name in ("one", "other"):
        model = {"one": vector_of, "other": lambda text: vector_of(text.lower())}[name]
        bh.evaluate(lambda texts, model=model: [model(t) for t in texts], folder, name=f"me/{name}", out=tmp_path)
    request.addfinalizer(lambda: corpora.unregister("tiny-faq"))
    for data, title in (([], "TinyFAQ"), (["--data", folder], "Tiny FAQ")):
        assert (
            exit_code("leaderboard", "--ranks", tmp_path / "ranks", *data, "--out", tmp_path / "board", "--quiet") == 0
        )
        board = json.loads((tmp_path / "board" / "leaderboard.json").read_text(encoding="utf-8"))
        assert {column["group"] for column in board["columns"]} == {title, f"{title} language bias"}
        assert len(board["rows"]) == 2
        assert {column["metric"] for column in board["columns"] if column["group"] == title} == {"map"}
