"""Pools of MTEB's own tasks, evaluated: scores beside those of MTEB's tasks, ranks by sorting, what models are told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pandas as pd
import pytest

from beir_hybrid.corpora import CorpusSpec, ParallelCorpus, load, spec_of_source
from beir_hybrid.corpora.mteb_pools.origin_tasks import ready_to_read, repository_of
from beir_hybrid.subsets import MULTI, Subset
from beir_hybrid.tasks import tasks_of
from tests.support.helpers import ranking
from tests.support.mteb_models import CountingEncoder, WordSearch, vector_of
from tests.support.small_origins import belebele_rows, write_belebele, write_copy, write_monolingual, write_pairs

Scores = Mapping[str, Mapping[str, Any]]
"""Subset or language -> key -> score."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of copies of repositories of the hub."""
    (tmp_path / "hub").mkdir()
    monkeypatch.setenv("BEIR_HYBRID_HUB", str(tmp_path / "hub"))
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    return tmp_path / "hub"


def pool_of(task: str, languages: Sequence[str]) -> CorpusSpec:
    """Return the spec of some languages of the pool of a task."""
    return spec_of_source(f"mteb:{task}").restricted(languages)


def scores_of(spec: CorpusSpec, model: Any) -> Scores:
    """Evaluate a model on the retrieval task of a pool."""
    task = tasks_of(spec)[0]()
    assert spec.origin is not None
    scores = task.evaluate(model, spec.origin.split, encode_kwargs={"show_progress_bar": False})
    return {subset: scores[subset] for subset in task.hf_subsets}


def scores_of_origin(spec: CorpusSpec, model: Any) -> Scores:
    """Evaluate a model on the monolingual subsets of MTEB's own task."""
    origin = spec.origin
    assert origin is not None
    subsets = {language: origin.subsets[language] for language in spec.languages if language in origin.subsets}
    task = ready_to_read(origin.task, subsets.values(), origin.split)
    with repository_of(task).reading():
        task.load_data()
    scores = task.evaluate(model, origin.split, encode_kwargs={"show_progress_bar": False})
    return {language: scores[subset] for language, subset in subsets.items()}


def assert_same_as_origin(spec: CorpusSpec, model: Any) -> None:
    """Compare all monolingual scores with MTEB's own, which have five decimals."""
    ours = scores_of(spec, model)
    of_origin = scores_of_origin(spec, model)
    assert of_origin
    for language, scores in of_origin.items():
        found = ours[str(Subset(language, language))]
        compared = {key: value for key, value in scores.items() if isinstance(value, float)}
        assert len(compared) > 140
        for key, value in compared.items():
            rounded = round(found[key], 5)
            assert rounded == round(value, 5) or (math.isnan(rounded) and math.isnan(value)), (language, key)


def rank_table(home: Path, spec: CorpusSpec) -> pd.DataFrame:
    """Read the rank table that an evaluation has left."""
    assert spec.task is not None
    (path,) = home.rglob(f"{spec.task.name}.parquet")
    return pd.read_parquet(path)


def assert_ranks_by_sorting(table: pd.DataFrame, corpus: ParallelCorpus, languages: Sequence[str]) -> None:
    """Compare the ranks of the questions of some languages with a plain sort of all passages."""
    vectors = {
        x: np.stack(
            [
                vector_of(f"{title} {text}".strip())
                for title, text in zip(part.titles or [""] * len(part.passages), part.passages, strict=True)
            ]
        )
        for x, part in corpus.languages.items()
    }
    ranks = table.set_index(["query_id", "passage_id"])[["rank_in_language", "rank_in_pool"]]
    n_judged = 0
    for language in languages:
        part = corpus.languages[language]
        for query_id, question_id, text in zip(part.query_ids, part.question_ids, part.questions, strict=True):
            scores = {
                x: {
                    name: float(score)
                    for row, (name, score) in enumerate(
                        zip(passages.passage_ids, vectors[x] @ vector_of(text), strict=True)
                    )
                    if row not in passages.ignored.get(question_id, ())
                }
                for x, passages in corpus.languages.items()
            }
            in_pool = ranking({name: score for of_language in scores.values() for name, score in of_language.items()})
            for x, passages in corpus.languages.items():
                in_language = ranking(scores[x])
                for row in corpus.relevant(question_id, x):
                    name = passages.passage_ids[row]
                    assert (*ranks.loc[(query_id, name)],) == (in_language[name], in_pool[name])
                    n_judged += 1
    assert n_judged == table["query_id"].str.startswith(tuple(f"{language}:" for language in languages)).sum() > 0


@pytest.mark.parametrize(
    ("task", "languages", "n_passages"),
    [
        ("MultilingualNanoNFCorpusRetrieval", ["en", "ko", "no"], 20),
        ("MMarcoRetrievalMultilingual", ["de", "zh"], 20),  # leaves out identical ids
        ("MMarcoRetrievalMultilingual", ["de", "zh"], 1100),  # of more passages than MTEB looks at
        ("MKQARetrieval", ["no", "zh", "zh-HK", "zh-TW"], 20),
    ],
)
def test_the_monolingual_scores_are_those_of_mteb(hub: Path, task: str, languages: list[str], n_passages: int) -> None:
    write_monolingual(hub, task, n_passages=n_passages, languages=languages)
    assert_same_as_origin(pool_of(task, languages), CountingEncoder())


def test_identical_ids_are_no_candidates_in_any_language(hub: Path, tmp_path: Path) -> None:
    write_monolingual(hub, "MMarcoRetrievalMultilingual", languages=["de", "ru", "zh"])
    spec = pool_of("MMarcoRetrievalMultilingual", ["de", "ru", "zh"])
    corpus = load("mteb:MMarcoRetrievalMultilingual", spec.languages)
    assert corpus.languages["ru"].ignored["q-3"] == [3]
    counted = scores_of(spec, CountingEncoder())
    assert_ranks_by_sorting(rank_table(tmp_path / "home", spec), corpus, ["de", "zh"])
    bias = tasks_of(spec)[1]().evaluate(CountingEncoder(), "dev", encode_kwargs={"show_progress_bar": False})
    assert {*bias} == {"de", "ru", "zh", "all"}
    assert len(counted) == 3 + 6 + 3


def test_a_search_leaves_out_identical_ids(hub: Path) -> None:
    write_monolingual(hub, "MMarcoRetrievalMultilingual", languages=["de", "ru", "zh"])
    spec = pool_of("MMarcoRetrievalMultilingual", ["de", "zh"])
    assert_same_as_origin(spec, WordSearch())


def test_models_are_told_the_task_of_mteb(hub: Path) -> None:
    told = []

    class Listening(CountingEncoder):
        def encode(self, inputs: Any, *, task_metadata: Any, hf_split: str, hf_subset: str, **kwargs: Any) -> Any:
            told.append((task_metadata.name, str(task_metadata.prompt), hf_split, hf_subset))
            return super().encode(inputs, hf_subset=hf_subset, **kwargs)

    class ListeningSearch(WordSearch):
        def index(self, corpus: Any, *, task_metadata: Any, hf_split: str, hf_subset: str, **kwargs: Any) -> None:
            told.append((task_metadata.name, str(task_metadata.prompt), hf_split, hf_subset))
            super().index(corpus)

    task = "MMarcoRetrievalMultilingual"
    write_monolingual(hub, task)
    spec = pool_of(task, ["de", "zh"])
    prompt = str(mteb.get_task(task).metadata.prompt)
    for model in (Listening(), ListeningSearch()):
        scores_of(spec, model)
        assert {*told} == {(task, prompt, "dev", "de"), (task, prompt, "dev", "zh")}
        told.clear()


def test_prompts_go_by_the_name_of_mtebs_task(hub: Path) -> None:
    from mteb.models import SentenceTransformerEncoderWrapper
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    write_monolingual(hub, "MintakaRetrieval", languages=["de", "ja"])
    spec = pool_of("MintakaRetrieval", ["de", "ja"])
    words = ["?", "de", "ja", "title", "text", "question", "fact", "other", *map(str, range(20))]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="?"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    rng = np.random.default_rng(0)
    static = StaticEmbedding(tokenizer, embedding_weights=rng.normal(size=(len(words), 8)).astype(np.float32))
    found = []
    for name in ("MintakaRetrieval-query", "MintakaRetrievalCL-query"):
        model = SentenceTransformerEncoderWrapper(
            SentenceTransformer(modules=[static], device="cpu"), model_prompts={name: "fact fact other "}
        )
        assert_same_as_origin(spec, model)
        found.append({key: scores["ndcg_at_20"] for key, scores in scores_of(spec, model).items()})
    assert found[0] != found[1]  # the second name is nobody's


def test_belebele(hub: Path, tmp_path: Path) -> None:
    spec = spec_of_source("mteb:BelebeleRetrieval").restricted(["de", "arb", "arb-Latn", "zh", "zh-Hant", "zu"])
    assert spec.origin is not None
    subsets = {x: spec.origin.subsets[x].split("-")[0] for x in spec.languages}
    folder = write_belebele(hub, subsets.values(), n_passages=7, n_questions=12, doubled=3)
    corpus = load("mteb:BelebeleRetrieval", spec.languages)
    model = CountingEncoder()
    assert_same_as_origin(spec, model)
    table = rank_table(tmp_path / "home", spec)
    assert_ranks_by_sorting(table, corpus, spec.languages)
    pairs = set(zip(table["query_language"], table["passage_language"], strict=True))
    assert pairs == {(x, y) for x in spec.languages for y in spec.languages}
    rows = {x: pd.concat(map(pd.read_parquet, (folder / subset).iterdir())) for x, subset in subsets.items()}
    n_twice = 0
    for x, part in corpus.languages.items():
        links = rows[x].groupby("question")["link"].agg(set)
        assert {*part.questions} == {*links.index}
        for question_id, text in zip(part.question_ids, part.questions, strict=True):
            stands_twice = (rows[x]["question"] == text).sum() > 1
            assert question_id.startswith(f"{x}-Q") == stands_twice
            n_twice += stands_twice
            for y, of_language in corpus.languages.items():
                answers = rows[y][rows[y]["link"].isin(links[text])]["flores_passage"]
                assert {of_language.passages[row] for row in corpus.relevant(question_id, y)} == {*answers}
                if question_id in of_language.question_ids and not stands_twice:  # a text says what it translates
                    same = of_language.questions[of_language.question_ids.index(question_id)]
                    assert same.split()[1:] == text.split()[1:]
    assert n_twice > 3


def test_belebele_without_a_passage_in_one_language(hub: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {subset: belebele_rows(subset, 4, 4, rng) for subset in ("deu_Latn", "zul_Latn")}
    gone = rows["zul_Latn"].pop()
    write_copy(hub, "mteb/belebele", rows, "test")
    corpus = load("mteb:BelebeleRetrieval", ["de", "zu"])
    german = corpus.languages["de"]
    lacking = [name for name in german.question_ids if not corpus.relevant(name, "zu")]
    assert [german.articles[german.question_ids.index(name)] for name in lacking] == [gone["link"]]
    assert {*corpus.languages["zu"].question_ids} == {*german.question_ids} - {*lacking}


@pytest.mark.parametrize(
    ("task", "languages"), [("MLQARetrieval", ["ar", "de", "zh"]), ("XPQARetrieval", ["ar", "de", "en"])]
)
def test_pairs_of_languages(hub: Path, tmp_path: Path, task: str, languages: list[str]) -> None:
    write_pairs(hub, task, languages)
    spec = pool_of(task, languages)
    corpus = load(f"mteb:{task}", languages)
    assert_same_as_origin(spec, CountingEncoder())
    table = rank_table(tmp_path / "home", spec)
    assert_ranks_by_sorting(table, corpus, spec.languages)
    assert spec.origin is not None
    assert spec.origin.pairs is not None
    read = [(x, y) for x in spec.languages for y in spec.languages if (x, y) in spec.origin.pairs]
    assert set(zip(table["query_language"], table["passage_language"], strict=True)) == {*read}
    assert {*tasks_of(spec)[0].metadata.hf_subsets} == {str(Subset(*pair)) for pair in read} | {
        str(Subset(x, MULTI)) for x in spec.languages
    }
    for x, part in corpus.languages.items():
        assert all(name.startswith(f"{x}-") for name in part.question_ids)  # nothing says that any is a translation
        for question_id, text in zip(part.question_ids, part.questions, strict=True):
            for y in spec.languages:
                found = [corpus.languages[y].passages[row].split()[-1] for row in corpus.relevant(question_id, y)]
                assert found in ([], [text.split()[-2]])
    # A text is a passage once, whatever the subsets that it is in.
    assert all(len({*part.passages}) == len(part.passages) for part in corpus.languages.values())


def test_a_question_that_stands_twice_on_one_passage_is_of_its_own(hub: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {subset: belebele_rows(subset, 2, 4, rng) for subset in ("deu_Latn", "zul_Latn")}
    first, second = (row for row in rows["deu_Latn"] if row["link"].endswith("/0"))
    second["question"] = first["question"]
    write_copy(hub, "mteb/belebele", rows, "test")
    corpus = load("mteb:BelebeleRetrieval", ["de", "zu"])
    german, zulu = corpus.languages["de"], corpus.languages["zu"]
    (own,) = {*german.question_ids} - {*zulu.question_ids}
    assert own.startswith("de-Q")
    assert (len(german.question_ids), len(zulu.question_ids)) == (3, 4)
    assert [german.passages[row].split()[-2] for row in corpus.relevant(own, "de")] == ["0"]
    assert [zulu.passages[row].split()[-2] for row in corpus.relevant(own, "zu")] == ["0"]
