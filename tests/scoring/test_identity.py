"""Whose figures are whose: no checkpoint, rank table or stored rank of one model, or state, is taken for another's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

from beir_hybrid.mteb.fingerprint import fingerprint
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from beir_hybrid.ranks.model_state import (
    SAMPLED_TEXTS,
    ModelState,
    Sample,
    SampledText,
    same_state,
    sampled_rows,
    sampled_texts,
)
from beir_hybrid.scoring.pass_folder import PassFolder
from beir_hybrid.tasks import MIRACLCL, XQuADR, XQuADRLanguageBias
from tests.support.helpers import property_test
from tests.support.mteb_models import CountingEncoder, meta_of, vector_of
from tests.tasks.test_miracl import use as use_small_miracl
from tests.tasks.test_xquad_r import SearchThatEncodes, use_small_data

Scores = dict[str, dict[str, Any]]


def static_model(seed: int, words: list[str], folder: Path) -> SentenceTransformer:
    """Make a static model that a user would load from a folder; mteb gives such a model neither name nor revision."""
    known = {word: number for number, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(seed)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=24), Normalize()]).save_pretrained(
        str(folder)
    )
    return SentenceTransformer(str(folder), device="cpu")


def change_words(model: SentenceTransformer, words: list[str]) -> None:
    """Train the rows of some words, those of one language, and no others."""
    embedding: Any = model[0]
    with torch.no_grad():
        for word in words:
            embedding.embedding.weight[embedding.tokenizer.token_to_id(word)] += 3.0


@pytest.fixture(scope="module")
def words() -> list[str]:
    """The words of the small data sets."""
    numbers = [str(number) for number in range(200)]
    return ["question", "passage", "topic", "answer", "sentence", *LANGUAGES, *numbers]


LANGUAGES = "ar de el en es fi hi ru te th tr vi zh".split()


def evaluate(model: Any, task: Any, **encode_kwargs: Any) -> Scores:
    result = mteb.evaluate(
        model,
        task,
        cache=None,
        co2_tracker=False,
        show_progress_bar=False,
        encode_kwargs={"show_progress_bar": False, **encode_kwargs},
    )
    ((scores,),) = [list(entry.scores.values()) for entry in result.task_results]
    return {entry["hf_subset"]: entry for entry in scores}


def tables(folder: Path) -> list[Path]:
    return sorted((folder / "home").rglob("*.parquet"))


@pytest.fixture
def xquad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield use_small_data(tmp_path, monkeypatch)
    SHARED_RUNS.clear()


def test_two_local_models_of_no_name_have_two_rank_tables(tmp_path: Path, xquad: Path, words: list[str]) -> None:
    first, second = (static_model(seed, words, tmp_path / str(seed)) for seed in (1, 2))
    evaluate(first, mteb.get_task("XQuADR", languages=["eng", "deu", "spa"]))
    [path] = tables(tmp_path)
    before = path.read_bytes()
    expected = evaluate(second, mteb.get_task("XQuADR", languages=["eng", "deu"]))
    assert path.read_bytes() == before
    [other] = [table for table in tables(tmp_path) if table != path]
    table, info = rank_table.read(other)
    assert set(table["query_language"].to_pylist()) == {"en", "de"}
    frame = table.to_pandas().query("query_language == 'en' and passage_language == 'en'")
    assert (1 / frame["rank_in_language"].astype(float)).mean() == pytest.approx(expected["en-en"]["map"])
    assert info.model_revision.startswith("no_revision_available+state-")
    evaluate(second, mteb.get_task("XQuADR", languages=["spa"]))
    assert len(tables(tmp_path)) == 2, "the second run of the second model completes its table"
    assert set(rank_table.read(other)[0]["query_language"].to_pylist()) == {"en", "de", "es"}


def test_a_static_model_of_which_one_language_alone_has_changed(tmp_path: Path, xquad: Path, words: list[str]) -> None:
    model = static_model(1, words, tmp_path / "model")
    wrapped = mteb.models.SentenceTransformerEncoderWrapper(model)
    before = evaluate(wrapped, XQuADR())
    change_words(model, ["de"])
    bias = evaluate(wrapped, XQuADRLanguageBias())
    assert len(tables(tmp_path)) == 2
    SHARED_RUNS.clear()
    alone = evaluate(mteb.models.SentenceTransformerEncoderWrapper(model), XQuADRLanguageBias())
    assert json.dumps(bias) == json.dumps(alone)
    assert len(tables(tmp_path)) == 2
    after = evaluate(wrapped, XQuADR())
    assert before["en-en"]["map"] == after["en-en"]["map"]


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model, "vector", lambda text: vector_of("other " + text)),
        lambda model: setattr(model, "vector", lambda text: vector_of(("other " if "de" in text else "") + text)),
        lambda model: setattr(model, "vector", lambda text: vector_of(text)[:2]),
        lambda model: setattr(model, "vector", lambda text: np.sign(vector_of(text))),
        lambda model: setattr(model, "spoil", lambda rows, prompt_type, **_: rows + (prompt_type == "query")),
    ],
    ids=["weights", "weights of one language", "dimensions", "precision", "prompt"],
)
def test_the_bias_task_after_a_change_of_the_model(
    change: Callable[[CountingEncoder], None], tmp_path: Path, xquad: Path
) -> None:
    model, fresh = CountingEncoder(), CountingEncoder()
    evaluate(model, XQuADR())
    change(model)
    change(fresh)
    found = evaluate(model, XQuADRLanguageBias())
    SHARED_RUNS.clear()
    assert json.dumps(found) == json.dumps(evaluate(fresh, XQuADRLanguageBias()))
    assert len(tables(tmp_path)) == 2


def test_a_precision_is_an_experiment_with_a_rank_table_of_its_own(
    tmp_path: Path, xquad: Path, words: list[str]
) -> None:
    model = static_model(1, words, tmp_path / "model")
    evaluate(model, mteb.get_task("XQuADR", languages=["eng"]))
    evaluate(model, mteb.get_task("XQuADR", languages=["eng"]), precision="int8")
    revisions = {rank_table.read(path)[1].model_revision for path in tables(tmp_path)}
    assert revisions == {"no_revision_available", "no_revision_available/output_dtypes_int8"}


class Breaks(Exception):
    pass


def breaking(vector: Callable[[str], Any], calls: int) -> CountingEncoder:
    """Make an encoder that breaks off after some calls."""
    left = [calls]

    def spoil(embeddings: Any, **_: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Breaks
        return embeddings

    return CountingEncoder(vector, spoil)


@pytest.mark.parametrize("calls", [1, 4, 7, 12, 20])
def test_a_miracl_run_never_goes_on_from_another_models_checkpoint(
    calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_small_miracl(tmp_path, monkeypatch)
    monkeypatch.setenv("BEIR_HYBRID_CHUNK_SIZE", "7")

    def other(text: str) -> Any:
        return vector_of(("other " if "fi" in text else "") + text)

    expected = evaluate(CountingEncoder(other), MIRACLCL())
    with pytest.raises(Breaks):
        evaluate(breaking(vector_of, calls), MIRACLCL())
    assert (tmp_path / "home" / "checkpoints").exists()
    assert json.dumps(evaluate(CountingEncoder(other), MIRACLCL())) == json.dumps(expected)
    model = CountingEncoder(vector_of)
    first = evaluate(model, MIRACLCL())
    assert json.dumps(first) == json.dumps(evaluate(CountingEncoder(vector_of, name="fresh"), MIRACLCL()))


def test_a_folder_that_was_trained_on_after_an_interrupted_miracl_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    use_small_miracl(tmp_path, monkeypatch)
    monkeypatch.setenv("BEIR_HYBRID_CHUNK_SIZE", "7")
    folder = tmp_path / "model"
    model = static_model(1, words, folder)
    save, saved = PassFolder.save, [0]

    def save_some(self: PassFolder, *args: Any, **kwargs: Any) -> None:
        saved[0] += 1
        if saved[0] > 9:
            raise KeyboardInterrupt
        save(self, *args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PassFolder, "save", save_some)
        evaluate(model, MIRACLCL())
    change_words(model, ["fi"])
    model.save_pretrained(str(folder))
    resumed = evaluate(SentenceTransformer(str(folder), device="cpu"), MIRACLCL())
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "undisturbed"))
    assert json.dumps(resumed) == json.dumps(evaluate(SentenceTransformer(str(folder), device="cpu"), MIRACLCL()))


def test_two_runs_of_one_model_have_a_checkpoint_each(tmp_path: Path) -> None:
    key = {"model": "m", "model_revision": "1", "task": "T"}
    first = PassFolder.reserve(key, lambda saved: True, tmp_path)
    second = PassFolder.reserve(key, lambda saved: True, tmp_path)
    assert first.folder != second.folder
    first.save("counts", {"x": torch.arange(2)})
    second.save("counts", {"x": torch.arange(3)})
    second.remove()
    loaded = first.load("counts")
    assert loaded is not None and len(loaded[0]["x"]) == 2
    first.release()
    again = PassFolder.reserve(key, lambda saved: True, tmp_path)
    assert again.folder == first.folder
    again.release()
    other = PassFolder.reserve(key, lambda saved: False, tmp_path)
    assert other.folder != first.folder and first.load("counts") is not None


# Fingerprints


def wrapper(model: SentenceTransformer, **options: Any) -> Any:
    return mteb.models.SentenceTransformerEncoderWrapper(model, **options)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: change_words(model, ["zh"]),
        lambda model: model.half(),
        lambda model: model.prompts.update(query="query: "),
        lambda model: setattr(model, "truncate_dim", 8),
        lambda model: setattr(model, "similarity_fn_name", "dot"),
        lambda model: model.append(Normalize()),
        lambda model: model[0].tokenizer.add_tokens(["newword"]),
    ],
    ids=["weights", "precision", "prompts", "dimensions", "similarity", "modules", "tokenizer"],
)
def test_a_fingerprint_follows_what_embeddings_depend_on(
    change: Callable[[SentenceTransformer], Any], tmp_path: Path, words: list[str]
) -> None:
    model = static_model(1, words, tmp_path / "model")
    before = fingerprint(wrapper(model), {})
    assert before is not None
    model.encode(["question en 1"], batch_size=1)
    assert fingerprint(wrapper(model), {"batch_size": 7, "show_progress_bar": True}) == before
    assert fingerprint(wrapper(SentenceTransformer(str(tmp_path / "model"))), {}) == before
    change(model)
    assert fingerprint(wrapper(model), {}) != before


def test_settings_of_the_call_are_part_of_a_fingerprint(tmp_path: Path, words: list[str]) -> None:
    model = wrapper(static_model(1, words, tmp_path / "model"))
    prints = [fingerprint(model, kwargs) for kwargs in ({}, {"precision": "int8"}, {"normalize_embeddings": True})]
    assert len(set(prints)) == 3 and None not in prints


def test_what_cannot_be_read_has_no_fingerprint(tmp_path: Path, words: list[str]) -> None:
    class Own(torch.nn.Module):
        def forward(self, features: Any) -> Any:
            return features

    model = static_model(1, words, tmp_path / "model")
    model.append(Own())
    assert fingerprint(wrapper(model), {}) is None
    assert fingerprint(CountingEncoder(), {}) is None


# Samples


def sample(rows: Any, first: int = 0) -> Sample:
    return Sample.of([SampledText("query", "en", first + number) for number in range(len(rows))], rows)


@property_test(50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 400))
def test_the_same_model_on_another_device_passes_and_another_does_not(seed: int, width: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((SAMPLED_TEXTS, width)).astype(np.float32)
    rounded = torch.from_numpy(rows).bfloat16().float().numpy()
    for same in (rows, rows.astype(np.float16), rounded, rows * (1 + 1e-4)):
        assert sample(rows).agrees_with(sample(same))
    changed = rows.copy()
    changed[random.integers(SAMPLED_TEXTS)] += 0.1 * np.abs(rows).max()
    assert not sample(rows).agrees_with(sample(changed))
    assert not sample(rows).agrees_with(sample(rows[:, :-1]))
    assert not sample(rows[:5]).agrees_with(sample(rows[:5], first=50)), "no text in common shows nothing"


@property_test(50)
@given(st.integers(0, 3000), st.integers(1, 64), st.integers(1, 64))
def test_rows_of_a_sample(n_rows: int, few: int, many: int) -> None:
    few, many = sorted((few, many))
    small, large = sampled_rows(n_rows, few), sampled_rows(n_rows, many)
    assert len(small) == min(n_rows, few) and len(set(small)) == len(small)
    assert set(small) <= set(large) <= set(range(n_rows))


def test_every_language_is_in_a_sample() -> None:
    sizes = {f"l{number}": 5 for number in range(130)}
    texts = sampled_texts(sizes, sizes)
    assert {(text.kind, text.language) for text in texts} == {(k, n) for k in ("query", "document") for n in sizes}
    assert len(sampled_texts({"en": 500}, {"en": 500, "de": 500})) in range(SAMPLED_TEXTS - 2, SAMPLED_TEXTS + 1)


def test_states() -> None:
    rows = np.random.default_rng(0).standard_normal((4, 5))
    hashed, sampled, run = ModelState("a" * 64), ModelState(sample=sample(rows)), ModelState(run="r")
    for state in (hashed, sampled, run):
        again = ModelState.from_json(json.loads(json.dumps(state.to_json())))
        assert same_state(state, again) and again.digest == state.digest
    assert not same_state(hashed, ModelState("b" * 64))
    assert not same_state(hashed, sampled) and not same_state(sampled, hashed) and not same_state(run, hashed)
    assert not same_state(None, hashed) and not same_state(hashed, None) and same_state(None, None)
    assert same_state(sampled, ModelState(), lambda texts: rows)
    assert not same_state(sampled, ModelState(), lambda texts: rows + 1)
    assert not same_state(sampled, ModelState())

    def unknown_language(texts: Any) -> Any:
        raise KeyError("en")

    assert not same_state(sampled, ModelState(), unknown_language)


def test_models_of_one_name_and_revision_but_other_vectors(tmp_path: Path, xquad: Path) -> None:
    german = mteb.get_task("XQuADR", languages=["deu"])
    first, second = CountingEncoder(), CountingEncoder(lambda text: vector_of("other" + text))
    assert first.mteb_model_meta.revision == second.mteb_model_meta.revision == meta_of("any").revision
    evaluate(first, german)
    evaluate(second, german)
    evaluate(first, mteb.get_task("XQuADR", languages=["eng"]))
    stored = [rank_table.read(path)[0]["query_language"].to_pylist() for path in tables(tmp_path)]
    assert sorted("".join(sorted(set(languages))) for languages in stored) == ["de", "deen"], (
        "the first model's English run completes its table, by a sample of its German"
    )


def test_a_search_without_a_name_is_one_run_in_all_its_subsets_and_another_the_next_time(
    tmp_path: Path, xquad: Path
) -> None:
    search = SearchThatEncodes(CountingEncoder())
    search.mteb_model_meta = meta_of("any", revision="1").model_copy(
        update={"name": "no_model_name/available", "revision": "no_revision_available"}
    )
    evaluate(search, mteb.get_task("XQuADR", languages=["eng", "deu"]))
    [path] = tables(tmp_path)
    first = path.read_bytes()
    assert len(rank_table.evaluated_pairs(rank_table.read(path)[0].to_pandas())) == 4
    evaluate(search, mteb.get_task("XQuADR", languages=["spa"]))
    assert path.read_bytes() == first and len(tables(tmp_path)) == 2


@pytest.mark.parametrize("name", ["..", "C:\\models\\mine", "NUL", "a\0b", "\ud800", "x" * 5000, "me/\x1b[31mred", "="])
def test_a_model_of_any_name_has_a_rank_table_that_can_be_read(name: str, tmp_path: Path, xquad: Path) -> None:
    model = CountingEncoder()
    model.mteb_model_meta = model.mteb_model_meta.model_copy(update={"name": name, "revision": name})
    task = mteb.get_task("XQuADR", languages=["eng"])
    task.evaluate(model, encode_kwargs={"show_progress_bar": False})
    [path] = tables(tmp_path)
    assert path.parents[2] == tmp_path / "home" / "ranks"
    assert rank_table.read(path)[1].task == "XQuADR"


def test_with_mtebs_cache_the_results_of_a_trained_model_are_its_own(
    tmp_path: Path, xquad: Path, words: list[str]
) -> None:
    cache = mteb.ResultCache(tmp_path / "cache")
    model = static_model(1, words, tmp_path / "model")

    def scores(language: str) -> Scores:
        task = mteb.get_task("XQuADR", languages=["eng", language])
        result = mteb.evaluate(model, task, cache=cache, co2_tracker=False, show_progress_bar=False)
        return {entry["hf_subset"]: entry for entry in result.task_results[0].scores["test"]}

    scores("deu")
    change_words(model, ["en"])
    trained = scores("spa")
    assert set(trained) == {"en-en", "en-es", "es-en", "es-es"}
    alone = evaluate(model, mteb.get_task("XQuADR", languages=["eng", "spa"]))
    assert json.dumps(trained) == json.dumps(alone)
    assert len(list((tmp_path / "cache").rglob("XQuADR.json*"))) == 2
