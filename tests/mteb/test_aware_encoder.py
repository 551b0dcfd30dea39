"""MTEB's encoders with a map behind them that the tasks tell the language of their texts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mteb
import numpy as np
import pytest
from mteb.cache import ResultCache
from mteb.types import PromptType

from beir_hybrid.corpora import load
from beir_hybrid.debias.aware import NEAREST
from beir_hybrid.debias.maps import Centring, DebiasError, Lir, Map, Projection, unit_rows
from beir_hybrid.models import e5_q4
from beir_hybrid.mteb.aware_encoder import AwareEncoder, language_of_subset
from beir_hybrid.mteb.fingerprint import fingerprint
from beir_hybrid.ranks import build, rank_table
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus, rank_rows
from beir_hybrid.tasks import XQuADRLanguageBias
from tests.support.mteb_models import CountingEncoder, meta_of, vector_of
from tests.support.tiny_model import tiny_model
from tests.tasks.test_xquad_r import use_small_data

TAGS = ("ar", "de", "en", "zh")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_small_data(tmp_path, monkeypatch)


def small_corpus_map(kind: type[Map], components: int | None = None) -> Map:
    parts = load("xquad-r").languages
    return kind.fit(
        {tag: np.stack([vector_of(text) for text in part.passages]) for tag, part in parts.items()}, components
    )


def run(model: Any, task: Any, folder: Path) -> Path:
    mteb.evaluate(model, task, cache=ResultCache(folder / "cache"), co2_tracker=False, show_progress_bar=False)
    (table,) = folder.rglob("XQuADR.parquet")
    return table


@pytest.mark.parametrize(("kind", "components"), [(Centring, None), (Lir, 2)])
def test_a_task_tells_the_language_of_its_texts(kind: type[Map], components: int | None, tmp_path: Path) -> None:
    fitted, corpus = small_corpus_map(kind, components), load("xquad-r")
    model = AwareEncoder(CountingEncoder(), fitted)
    table, info = rank_table.read(run(model, XQuADRLanguageBias(), tmp_path))

    def mapped(tag: str, texts: Any) -> np.ndarray:
        rows = np.stack([vector_of(text) for text in texts]).astype(np.float64)
        if kind is Centring:
            passages = np.stack([vector_of(text) for text in corpus.languages[tag].passages]).astype(np.float64)
            return unit_rows(rows - passages.mean(axis=0))
        passages = np.stack([vector_of(text) for text in corpus.languages[tag].passages]).astype(np.float64)
        axes = np.linalg.eigh(passages.T @ passages)[1][:, -2:]
        return unit_rows(rows - rows @ axes @ axes.T)

    expected = Embeddings(
        {tag: mapped(tag, part.questions) for tag, part in corpus.languages.items()},
        {tag: mapped(tag, part.passages) for tag, part in corpus.languages.items()},
    )
    counted = [
        rank_rows(ranks, corpus, whole_pool=True) for ranks in count_corpus(corpus, expected, lambda a, b: a @ b.T)
    ]
    keys, ranks = ["query_id", "passage_id"], ["rank_in_language", "rank_in_pool"]
    by_hand = build("XQuADR", counted).to_pandas().set_index(keys)[ranks].sort_index()
    found = table.to_pandas().set_index(keys)[ranks].sort_index()
    assert (found == by_hand).all(axis=None)
    assert info.model == f"tests/counting+{kind.method}" and len(info.model_revision) == 40


def test_a_language_that_is_read_off_is_another_model_to_the_tables(tmp_path: Path) -> None:
    fitted, folder = small_corpus_map(Centring), tmp_path / "tables"
    for language in (None, NEAREST):
        task = XQuADRLanguageBias()
        task.ranks_folder = folder
        model = AwareEncoder(CountingEncoder(), fitted, language)
        mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
    models = {rank_table.read_info(path).model for path in folder.rglob("*.parquet")}
    assert models == {"tests/counting+centring", "tests/counting+centring-nearest"}


def test_name_and_revision_say_the_content() -> None:
    encoder = CountingEncoder()
    maps = [small_corpus_map(Centring), small_corpus_map(Lir), small_corpus_map(Lir, 2), small_corpus_map(Projection)]
    metas = [AwareEncoder(encoder, fitted).mteb_model_meta for fitted in maps]
    metas.append(AwareEncoder(encoder, maps[0], NEAREST).mteb_model_meta)
    assert len({meta.revision for meta in metas}) == len(metas)
    assert encoder.mteb_model_meta.name == "tests/counting"
    encoder.mteb_model_meta = meta_of("counting", revision="2")
    assert AwareEncoder(encoder, maps[0]).mteb_model_meta.revision != metas[0].revision
    encoder.mteb_model_meta = encoder.mteb_model_meta.model_copy(update={"name": "no_model_name/available"})
    assert AwareEncoder(encoder, maps[0]).mteb_model_meta.name == "no_model_name/available"


def test_a_fingerprint_is_of_encoder_map_and_reading() -> None:
    def fitted(kind: type[Map], seed: int = 0) -> Map:
        random = np.random.default_rng(seed)
        return kind.fit({tag: random.normal(size=(5, 12)) for tag in TAGS})

    def print_of(seed: int, some: Map, language: str | None = None) -> str | None:
        return fingerprint(AwareEncoder(e5_q4.wrapped(tiny_model(seed)), some, language), {})

    prints = [
        print_of(0, fitted(Centring)),
        print_of(1, fitted(Centring)),
        print_of(0, fitted(Centring, 1)),
        print_of(0, fitted(Lir)),
        print_of(0, fitted(Centring), NEAREST),
        fingerprint(e5_q4.wrapped(tiny_model(0)), {}),
    ]
    assert len({*prints}) == len(prints) and None not in prints
    assert print_of(0, fitted(Centring)) == prints[0]
    assert fingerprint(AwareEncoder(CountingEncoder(), fitted(Centring)), {}) is None


def metadata(name: str, **subsets: list[str]) -> Any:
    return SimpleNamespace(name=name, hf_subsets_to_langscripts=subsets)


@pytest.mark.parametrize(
    ("task", "subset", "prompt_type", "expected"),
    [
        (metadata("XQuADR"), "de-de", PromptType.document, "de"),
        (metadata("XQuADR"), "de-en", PromptType.query, "de"),
        (metadata("XQuADR"), "de-en", PromptType.document, "en"),
        (metadata("XQuADR"), "de-multi", PromptType.query, "de"),
        (metadata("Some", ar=["arb-Arab"]), "ar", None, "ar"),
        (metadata("Some", default=["deu-Latn"]), "default", None, "de"),
        (metadata("Some", **{"zho-zho": ["zho-Hans", "zho-Hans"]}), "zho-zho", PromptType.query, "zh"),
    ],
)
def test_the_language_of_a_subset(task: Any, subset: str, prompt_type: PromptType | None, expected: str) -> None:
    assert language_of_subset(task, subset, prompt_type, TAGS) == expected


@pytest.mark.parametrize(
    ("task", "subset", "prompt_type", "says"),
    [
        (metadata("XQuADR", **{"de-multi": ["deu-Latn", "eng-Latn"]}), "de-multi", PromptType.document, "does not say"),
        (metadata("Bitext", **{"de-en": ["deu-Latn", "eng-Latn"]}), "de-en", PromptType.query, "language='nearest'"),
        (metadata("Some"), "default", None, "does not say which text of its subset default is in which language"),
        (
            metadata("Some", fr=["fra-Latn"]),
            "fr",
            None,
            "Some fr is in fra-Latn, and the map knows ar, de, en, zh only",
        ),
        (metadata("Some", zh=["zho-Hant"]), "zh", None, "Some zh is in zho-Hant, and the map knows"),
    ],
)
def test_where_nothing_says_the_language_there_is_one_line(
    task: Any, subset: str, prompt_type: PromptType | None, says: str
) -> None:
    with pytest.raises(DebiasError, match=says):
        language_of_subset(task, subset, prompt_type, TAGS)


def test_nothing_is_embedded_where_the_language_is_not_known() -> None:
    encoder = CountingEncoder()
    model = AwareEncoder(encoder, small_corpus_map(Centring))
    with pytest.raises(DebiasError, match="does not say which text"):
        model.encode([{"text": ["a"]}], task_metadata=metadata("Some"), hf_split="test", hf_subset="default")
    assert encoder.texts == []


@pytest.mark.parametrize(
    ("task", "subset", "known", "language"),
    [
        ("BelebeleRetrieval", "arb_Arab-arb_Arab", ["en", "arb"], "arb"),
        ("BelebeleRetrieval", "arb_Arab-arb_Arab", ["en", "ar"], "ar"),
        ("BelebeleRetrieval", "zho_Hant-zho_Hant", ["zh", "zh-Hant"], "zh-Hant"),
        ("XPQARetrieval", "cmn-cmn", ["en", "zh"], "zh"),
        ("MultilingualNanoNQRetrieval", "ko", ["en", "ko"], "ko"),
    ],
)
def test_the_subsets_that_pools_are_asked_as_say_their_language(
    task: str, subset: str, known: list[str], language: str
) -> None:
    metadata = mteb.get_task(task).metadata
    assert language_of_subset(metadata, subset, None, known) == language
