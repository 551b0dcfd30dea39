"""The evaluator against the MTEB tasks, in a training, and with bad input."""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from mteb.models import SentenceTransformerEncoderWrapper
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.model_card import generate_model_card
from transformers import TrainerCallback

from beir_hybrid.corpora import ParallelCorpus, choose_languages, load
from beir_hybrid.corpora.registry import retrieval_specs
from beir_hybrid.errors import DataError, ModelError
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES
from beir_hybrid.subsets import SETTINGS, setting_of
from beir_hybrid.tasks import XQuADR, XQuADRLanguageBias
from beir_hybrid.training import HybridTrainer, MultilingualRetrievalEvaluator
from tests.support import small_xquad
from tests.support.helpers import corpus_of
from tests.support.tiny_model import tiny_model
from tests.tasks.test_xquad_r import use_small_data
from tests.training.test_trainer import arguments

BIAS = tuple(figure.name for figure in BOARD_LANGUAGE_FIGURES)
METRICS = ("monolingual_map", "cross_lingual_map", "multilingual_map", *BIAS)
PROMPTS = {"query": "question 7 : ", "document": "only 7 : "}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_small_data(tmp_path, monkeypatch)


class SpyModel:
    """Passes on what a model is asked, and keeps the texts."""

    def __init__(self, model: SentenceTransformer) -> None:
        self.model = model
        self.texts: dict[str, list[str]] = {"query": [], "document": []}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def encode_query(self, texts: list[str], **options: Any) -> torch.Tensor:
        self.texts["query"] += texts
        return self.model.encode_query(texts, **options)

    def encode_document(self, texts: list[str], **options: Any) -> torch.Tensor:
        self.texts["document"] += texts
        return self.model.encode_document(texts, **options)


@pytest.mark.parametrize("prompts", [None, PROMPTS])
def test_the_metrics_are_those_of_the_mteb_tasks(prompts: dict[str, str] | None) -> None:
    model = tiny_model(prompts=prompts)
    found = MultilingualRetrievalEvaluator("xquad-r")(model)
    encoder = SentenceTransformerEncoderWrapper(model)
    scores = XQuADR().evaluate(encoder, encode_kwargs={})
    for setting in SETTINGS:
        expected = np.mean([score["map"] for subset, score in scores.items() if setting_of(subset) == setting])
        assert found[f"xquad-r_{setting.replace('-', '_')}_map"] == pytest.approx(expected, abs=1e-6)
    bias = XQuADRLanguageBias().evaluate(encoder, encode_kwargs={})["all"]
    for metric in BIAS:
        assert found[f"xquad-r_{metric}"] == pytest.approx(bias[metric], abs=1e-6)
    assert list(found) == [f"xquad-r_{metric}" for metric in METRICS]


def test_prompts_make_a_difference() -> None:
    evaluator = MultilingualRetrievalEvaluator("xquad-r")
    assert evaluator(tiny_model(prompts=PROMPTS)) != evaluator(tiny_model())


def test_each_text_is_encoded_once() -> None:
    model = SpyModel(tiny_model())
    MultilingualRetrievalEvaluator("xquad-r", languages=["de", "en"])(model)
    assert {kind: len(texts) for kind, texts in model.texts.items()} == {"query": 8, "document": 11}
    assert max(Counter(model.texts["query"]).values()) == max(Counter(model.texts["document"]).values()) == 1


def test_it_can_be_given_a_corpus() -> None:
    corpus = load("xquad-r", ["en", "de"])
    named = MultilingualRetrievalEvaluator("xquad-r", languages=["en", "de"])
    given = MultilingualRetrievalEvaluator(corpus, name="small")
    values = list(named(tiny_model()).values())
    assert given(tiny_model()) == dict(zip([f"small_{metric}" for metric in METRICS], values, strict=True))
    assert given.primary_metric == "small_multilingual_map"
    unnamed = MultilingualRetrievalEvaluator(corpus, name="")
    assert list(unnamed(tiny_model())) == list(METRICS)
    assert unnamed.primary_metric == "multilingual_map"


def test_one_language_has_monolingual_map_alone() -> None:
    evaluator = MultilingualRetrievalEvaluator("xquad-r", languages=["en"])
    assert list(evaluator(tiny_model())) == [evaluator.primary_metric] == ["xquad-r_monolingual_map"]


def test_a_sample_has_the_same_questions_in_every_language_and_the_whole_pool() -> None:
    evaluator = MultilingualRetrievalEvaluator("xquad-r", max_questions=2, seed=1)
    parts = evaluator.corpus.languages
    [chosen] = {part.question_ids for part in parts.values()}
    assert len(chosen) == 2
    for language, part in parts.items():
        assert part.questions == tuple(f"{language} question {question}?" for question in chosen)
        assert len(part.passages) == (6 if language == "en" else 5)
    again = MultilingualRetrievalEvaluator("xquad-r", max_questions=2, seed=1)
    assert again.corpus.languages == parts
    others = {
        MultilingualRetrievalEvaluator("xquad-r", max_questions=2, seed=seed).corpus.languages["en"].question_ids
        for seed in range(20)
    }
    assert len(others) > 3
    all_of_them = MultilingualRetrievalEvaluator("xquad-r", max_questions=9).corpus
    assert all_of_them.languages["en"].question_ids == ("q0", "q1", "q2", "q3")


def uneven_corpus() -> ParallelCorpus:
    """A question that only English has, and one whose only answer is in German."""
    return corpus_of(
        {"en": ["0", "1"], "de": ["0", "1"]},
        {"en": ["q0", "q1"], "de": ["q0"]},
        {"en": {"q0": {0: 1}}, "de": {"q0": {1: 1}, "q1": {0: 1}}},
    )


def test_a_language_without_questions_of_the_sample() -> None:
    for seed in range(20):
        evaluator = MultilingualRetrievalEvaluator(uneven_corpus(), max_questions=1, seed=seed)
        if not evaluator.corpus.languages["de"].questions:
            with pytest.raises(DataError, match="none of the questions has a relevant passage that monolingual_map"):
                evaluator(tiny_model())
            break
    else:
        raise AssertionError("no sample without German questions")
    assert set(MultilingualRetrievalEvaluator(uneven_corpus())(tiny_model())) == {f"random_{m}" for m in METRICS}


def test_there_is_no_language_bias_where_questions_have_answers_in_one_language() -> None:
    found = MultilingualRetrievalEvaluator(uneven_corpus())(tiny_model())  # one of its three questions
    for metric in METRICS:
        assert math.isnan(found[f"random_{metric}"]) is (metric in {*BIAS} - {"round_robin_gain"}), metric
    with pytest.raises(DataError, match="random: there is no rank_distance: less than 90 % of the questions"):
        MultilingualRetrievalEvaluator(uneven_corpus(), primary_metric="rank_distance")(tiny_model())


def test_titles_are_joined_as_mteb_joins_them() -> None:
    corpus = load("xquad-r", ["en", "de"])
    titled = replace(corpus.languages["en"], titles=("", *["title"] * 5))
    model = SpyModel(tiny_model())
    MultilingualRetrievalEvaluator(replace(corpus, languages={**corpus.languages, "en": titled}))(model)
    english = [text for text in model.texts["document"] if "en " in text]
    assert english == [f"{title} {text}".strip() for title, text in zip(titled.titles, titled.passages, strict=True)]


def test_the_csv_file_grows_by_a_row_an_evaluation(tmp_path: Path) -> None:
    evaluator = MultilingualRetrievalEvaluator("xquad-r", languages=["en", "de"])
    first = evaluator(tiny_model(0), output_path=str(tmp_path / "out"), epoch=0.5, steps=10)
    evaluator(tiny_model(1), output_path=str(tmp_path / "out"), epoch=1.0, steps=20)
    path = tmp_path / "out" / "Multilingual-Retrieval_evaluation_xquad-r_results.csv"
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["epoch", "steps", *METRICS]
    assert [row[:2] for row in rows] == [["0.5", "10"], ["1.0", "20"]]
    assert [float(value) for value in rows[0][2:]] == list(first.values())
    quiet = MultilingualRetrievalEvaluator("xquad-r", languages=["en"], name="quiet", write_csv=False)
    quiet(tiny_model(), output_path=str(tmp_path / "quiet"))
    assert not (tmp_path / "quiet").exists()


@pytest.mark.parametrize("kind", ["query", "document"])
def test_embeddings_that_cannot_be_ranked_by_are_one_line(kind: str) -> None:
    class Broken(SpyModel):
        def spoil(self, embeddings: torch.Tensor, which: str) -> torch.Tensor:
            if which == kind:
                embeddings = embeddings.clone()
                embeddings[5, 0] = torch.nan  # German comes first, with 4 questions and 5 passages
            return embeddings

        def encode_query(self, texts: list[str], **options: Any) -> torch.Tensor:
            return self.spoil(super().encode_query(texts, **options), "query")

        def encode_document(self, texts: list[str], **options: Any) -> torch.Tensor:
            return self.spoil(super().encode_document(texts, **options), "document")

    evaluator = MultilingualRetrievalEvaluator("xquad-r", languages=["en", "de"])
    where = {"query": "the en questions of xquad-r .* row 1 ", "document": "the en passages of xquad-r .* row 0 "}
    assert evaluator.languages == ("de", "en")
    with pytest.raises(ModelError, match=where[kind] + ".*NaN") as error:
        evaluator(Broken(tiny_model()))
    assert "\n" not in str(error.value)


def test_half_precision_is_ranked_in_single_precision() -> None:
    class Halved(SpyModel):
        def encode_query(self, texts: list[str], **options: Any) -> torch.Tensor:
            return super().encode_query(texts, **options).bfloat16()

    evaluator = MultilingualRetrievalEvaluator("xquad-r", languages=["en", "de"])
    found, expected = evaluator(Halved(tiny_model())), evaluator(tiny_model())
    assert found["xquad-r_multilingual_map"] == pytest.approx(expected["xquad-r_multilingual_map"], abs=0.2)


def test_a_truncated_model_is_another() -> None:
    model = tiny_model()
    whole = MultilingualRetrievalEvaluator("xquad-r", languages=["en", "de"])
    assert MultilingualRetrievalEvaluator("xquad-r", languages=["en", "de"], truncate_dim=2)(model) != whole(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corpus": "xquad"}, "unknown data set 'xquad'; known: "),
        ({"corpus": "ntrex"}, "ntrex is no retrieval corpus: "),
        ({"corpus": "atlas-r", "languages": "xx"}, "atlas-r: unknown language 'xx'; it has "),
        ({"corpus": "xquad-r", "languages": ["xx"]}, "xquad-r: unknown language 'xx'; it has "),
        ({"corpus": "xquad-r", "languages": []}, "xquad-r: no language was asked for"),
        ({"corpus": uneven_corpus(), "languages": ["en", "fr"]}, "random: unknown language 'fr'; it has en, de"),
        ({"corpus": uneven_corpus(), "languages": []}, "random: no language was asked for"),
        ({"corpus": "xquad-r", "primary_metric": "map"}, "xquad-r: no metric 'map' on 11 "),
        (
            {"corpus": "xquad-r", "languages": ["en"], "primary_metric": "rank_distance"},
            "xquad-r: no metric 'rank_distance' on 1 ",
        ),
        ({"corpus": "xquad-r", "max_questions": 0}, "xquad-r: max_questions is 1 or more, not 0"),
    ],
)
def test_bad_arguments_are_one_line_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        MultilingualRetrievalEvaluator(**options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_every_retrieval_corpus_is_known() -> None:
    for name in (spec.name for spec in retrieval_specs()):
        assert MultilingualRetrievalEvaluator(name).languages == choose_languages(name)
    assert MultilingualRetrievalEvaluator("atlas-r", languages="de").languages == ("de",)
    assert MultilingualRetrievalEvaluator(uneven_corpus(), languages="en").languages == ("en",)


def test_words_that_a_model_does_not_know_are_counted_and_score_0(caplog: pytest.LogCaptureFixture) -> None:
    class Forgetful(SpyModel):
        def encode_document(self, texts: list[str], **options: Any) -> torch.Tensor:
            known = torch.tensor([not text.startswith("de ") for text in texts])
            return self.model.encode_document(texts, **options) * known[:, None]

    metrics = MultilingualRetrievalEvaluator("xquad-r", languages=["en", "de"])(Forgetful(tiny_model()))
    assert all(np.isfinite(list(metrics.values())))
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    n = len(load("xquad-r", ["de"]).languages["de"].passages)
    assert warning.startswith(
        f"the de passages of xquad-r: {n} of {n} embeddings are all zeros, the first that of de:0;"
    )


def test_lower_is_better_for_a_rank_distance() -> None:
    assert MultilingualRetrievalEvaluator("xquad-r").greater_is_better
    evaluator = MultilingualRetrievalEvaluator("xquad-r", primary_metric="rank_distance")
    assert not evaluator.greater_is_better
    assert evaluator.primary_metric == "xquad-r_rank_distance"
    with pytest.raises(DataError, match="more language_preference is neither better nor worse"):
        MultilingualRetrievalEvaluator("xquad-r", primary_metric="language_preference")


def test_the_model_card_says_what_was_evaluated() -> None:
    evaluator = MultilingualRetrievalEvaluator("xquad-r", languages=["en", "de"], max_questions=2, truncate_dim=8)
    assert evaluator.description == "Multilingual Retrieval"
    assert evaluator.get_config_dict() == {
        "languages": list(evaluator.languages),
        "max_questions": 2,
        "seed": 0,
        "truncate_dim": 8,
    }
    model = tiny_model()
    evaluator(model)
    card = generate_model_card(model)
    assert "xquad-r" in card
    assert "multilingual_map" in card


def small_pairs() -> DatasetDict:
    """Make training pairs of the very questions that are evaluated: the model learns to answer them."""

    def dataset(x: str, y: str) -> Dataset:
        rows = [
            {"question": f"{x} question {question}?", "answer": f"{y} sentence {answer}.", "label": answer}
            for question, answer in small_xquad.QUESTIONS.items()
        ]
        return Dataset.from_list(rows)

    return DatasetDict({f"{x}-{y}": dataset(x, y) for x in ("de", "en") for y in ("de", "en")})


class Ruin(TrainerCallback):
    """Makes all texts alike at the end of the last step, before it is evaluated."""

    def on_step_end(self, args: Any, state: Any, control: Any, model: SentenceTransformer, **kwargs: Any) -> None:
        if state.global_step == state.max_steps:
            with torch.no_grad():
                for weights in model.parameters():
                    weights.fill_(1)


def test_the_best_checkpoint_is_loaded_at_the_end(tmp_path: Path) -> None:
    evaluator = MultilingualRetrievalEvaluator("xquad-r", languages=["en", "de"])
    args = arguments(
        tmp_path / "run",
        num_train_epochs=9,
        max_steps=-1,
        eval_strategy="steps",
        eval_steps=12,
        save_strategy="steps",
        save_steps=12,
        load_best_model_at_end=True,
        metric_for_best_model="eval_xquad-r_multilingual_map",
    )
    model = tiny_model()
    trainer = HybridTrainer(
        model=model, args=args, train_dataset=small_pairs(), evaluator=evaluator, callbacks=[Ruin()]
    )
    trainer.train()
    found = {
        log["step"]: log["eval_xquad-r_multilingual_map"]
        for log in trainer.state.log_history
        if "eval_xquad-r_multilingual_map" in log
    }
    best = max(found, key=found.__getitem__)
    assert list(found) == [12, 24, 36]
    assert found[best] > found[36]
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{best}")
    assert evaluator(model)["xquad-r_multilingual_map"] == pytest.approx(found[best])
    assert [path.name for path in (tmp_path / "run" / "eval").iterdir()] == [evaluator.csv_file]
