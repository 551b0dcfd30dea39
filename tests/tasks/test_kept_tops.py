"""Top passages that an evaluation keeps: counted, searched for, restricted, by chunks, and through every interface."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.util import cos_sim

import beir_hybrid as bh
from beir_hybrid.corpora import load
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.interface import Result
from beir_hybrid.interface.runs import load_run
from beir_hybrid.mteb.encode import Call
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from beir_hybrid.ranks.tops import Tops, tops_path
from beir_hybrid.scoring.chunk_plan import ChunkPlan
from beir_hybrid.scoring.chunked import ChunkedRun
from beir_hybrid.scoring.corpus_scores import count_corpus, top_rows
from beir_hybrid.scoring.pass_folder import PassFolder
from beir_hybrid.subsets import MULTI
from beir_hybrid.tasks import XQuADR
from beir_hybrid.tasks.miracl import MIRACLCL
from tests.support import small_xquad
from tests.support.command_line import exit_code
from tests.support.helpers import Run, ScoreTable, TableModel, property_test, score_tables
from tests.support.mteb_models import CountingEncoder, WordSearch, vector_of
from tests.support.sorted_tops import outranking_by_sorting, rows_by_sorting, rows_of
from tests.support.tiny_model import tiny_model
from tests.tasks.test_xquad_r import SearchThatEncodes

LANGUAGES = small_xquad.LANGUAGES
K = 3


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    SHARED_RUNS.clear()
    return small_xquad.be_read(tmp_path, monkeypatch)


def runs_by_sorting(asked: str, pool: Sequence[str]) -> Run:
    """Score all questions of a language against all passages of a pool, by the model of the tests."""
    corpus = load("xquad-r", progress=False)
    part = corpus.languages[asked]
    passages = {
        name: text
        for language in pool
        for name, text in zip(corpus.languages[language].passage_ids, corpus.languages[language].passages, strict=True)
    }
    questions, texts = (np.stack([vector_of(text) for text in some]) for some in (part.questions, passages.values()))
    scores = cos_sim(questions, texts).tolist()
    return {name: dict(zip(passages, row, strict=True)) for name, row in zip(part.query_ids, scores, strict=True)}


def kept(folder: Path) -> Tops:
    found = load_run(folder).tops
    assert found is not None
    return found


def same_rows(found: Sequence[tuple[Any, ...]], expected: Sequence[tuple[Any, ...]]) -> bool:
    """Whether rows are equal, scores but for the last digits."""
    return [row[:-1] for row in found] == [row[:-1] for row in expected] and np.allclose(
        [row[-1] for row in found], [row[-1] for row in expected], atol=1e-6
    )


def of_pools(asked: Sequence[str], pools: Sequence[str]) -> list[tuple[Any, ...]]:
    return sorted(
        row
        for language in asked
        for pool in pools
        for row in rows_by_sorting(runs_by_sorting(language, LANGUAGES if pool == MULTI else [pool]), pool, K)
    )


def evaluated(model: Any, keep_top: int | None = K, **options: Any) -> None:
    task = mteb.get_task("XQuADR", **options)
    task.keep_top = keep_top
    task.evaluate(model, encode_kwargs={})


def test_a_task_keeps_them_when_asked_and_later_runs_complete_them(home: Path) -> None:
    evaluated(CountingEncoder(), None)
    assert load_run(home).tops is None
    evaluated(CountingEncoder(), languages=["eng", "deu"])
    pairs = of_pools(["en", "de"], ["en", "de"])
    assert same_rows(rows_of(kept(home)), pairs)
    assert (kept(home).k, kept(home).outranking) == (K, {})
    evaluated(CountingEncoder(), hf_subsets=["th-multi"])
    [path] = rank_table.rank_tables_below(home)
    assert same_rows(rows_of(kept(home)), sorted([*pairs, *of_pools(["th"], [*LANGUAGES, MULTI])]))
    judgments = load("xquad-r", progress=False).judgments("th", LANGUAGES)
    counts = outranking_by_sorting(runs_by_sorting("th", LANGUAGES), judgments, LANGUAGES)
    assert kept(home).outranking == {"th": counts}
    evaluated(CountingEncoder(), None, languages=["ara", "ell"])  # the same state, told by the embeddings of others
    assert len(rows_of(kept(home))) == len(pairs) + 12 * 4 * K
    evaluated(CountingEncoder())
    assert same_rows(rows_of(kept(home)), of_pools(LANGUAGES, [*LANGUAGES, MULTI]))
    assert set(kept(home).outranking) == set(LANGUAGES)
    evaluated(CountingEncoder(lambda text: vector_of(text + "trained")))
    [beside] = set(rank_table.rank_tables_below(home)) - {path}
    assert tops_path(beside).exists()
    assert rows_of(load_run(beside).tops) != rows_of(load_run(path).tops)  # type: ignore[arg-type]


def test_a_search_keeps_its_own(home: Path) -> None:
    evaluated(SearchThatEncodes(CountingEncoder()), hf_subsets=["en-en", "en-de", "en-multi"])
    assert same_rows(rows_of(kept(home)), of_pools(["en"], ["en", "de", MULTI]))
    judgments = load("xquad-r", progress=False).judgments("en", LANGUAGES)
    assert kept(home).outranking == {
        "en": outranking_by_sorting(runs_by_sorting("en", LANGUAGES), judgments, LANGUAGES)
    }


def test_of_a_lexical_search_only_what_shares_a_word_is_kept(home: Path) -> None:
    evaluated(WordSearch(model_type=["sparse"]), hf_subsets=["en-en", "en-multi"])
    scores = [row[-1] for row in rows_of(kept(home))]
    assert scores
    assert min(scores) > 0


def test_the_bias_task_shares_a_pass_that_keeps_as_many(home: Path) -> None:
    tasks = mteb.get_tasks(["XQuADR", "XQuADRLanguageBias"])
    model = CountingEncoder()
    for task in tasks:
        task.keep_top = K
    for task in tasks:
        task.evaluate(model, encode_kwargs={})
    n_texts, once = 11 * 4 + 11 * 5 + 1, len(model.texts)
    assert once < 2 * n_texts, "some more, which tell the state of the model"
    assert len(rows_of(kept(home))) == 11 * 4 * 12 * K
    fewer = XQuADR()
    fewer.keep_top = 1
    fewer.evaluate(model, encode_kwargs={})
    assert len(model.texts) >= once + n_texts
    assert (kept(home).k, len(rows_of(kept(home)))) == (1, 11 * 4 * 12)


def letters(texts: list[str]) -> list[list[float]]:
    return [[text.lower().count(letter) + 0.1 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]


def test_bh_evaluate_keeps_them_in_memory_and_in_files(home: Path, tmp_path: Path) -> None:
    languages = ["en", "de"]
    result = bh.evaluate(letters, "xquad-r", languages=languages, keep_top=K, progress=False)
    assert isinstance(result, Result)
    assert result.tops is not None
    assert len(rows_of(result.tops)) == 2 * 4 * 3 * K
    assert rows_of(kept(home)) == rows_of(result.tops)
    written = result.save(tmp_path / "out")
    assert [path.name.partition(".")[2] for path in written[:2]] == ["parquet", "tops.parquet"]
    assert rows_of(kept(tmp_path / "out")) == rows_of(result.tops)
    without = bh.evaluate(letters, "xquad-r", languages=languages, out=tmp_path / "none", progress=False)
    assert without.tops is None
    assert [path.suffixes for path in without.files] == [[".parquet"]]
    assert without.table.equals(result.table)


def test_the_command_line_says_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_model().save(str(tmp_path / "model"), create_model_card=False)
    asked = ["evaluate", "-m", str(tmp_path / "model"), "--data", "xquad-r", "--languages", "en,de"]
    out = tmp_path / "out"
    assert exit_code(*asked, "--out", out, "--keep-top", 2) == 0
    [path] = out.rglob("*.tops.parquet")
    assert f"\nTop passages: {path}\n" in capsys.readouterr().out
    assert len(rows_of(kept(out))) == 2 * 4 * 3 * 2
    for number in ("0", "-1", "99999999999999999999"):
        assert exit_code(*asked, "--out", tmp_path / "bad", "--keep-top", number) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.endswith(f"keep top {number}: write a whole number above 0, such as 10")
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("number", [0, -3, 2.5, "10"])
def test_a_number_that_is_none_is_one_line_before_anything_is_encoded(number: Any, home: Path) -> None:
    model = CountingEncoder()
    with pytest.raises(BeirHybridError, match=f"keep top {number}: write a whole number above 0"):
        bh.evaluate(model, "xquad-r", keep_top=number, progress=False)
    with pytest.raises(BeirHybridError, match=f"keep top {number}: write a whole number above 0"):
        evaluated(model, number)
    assert not model.texts
    assert not home.exists()


class Stopped(Exception):
    pass


@property_test(40)
@given(st.data(), score_tables(max_passages=9), st.integers(1, 7), st.integers(1, 6))
def test_a_pass_by_chunks_that_is_stopped_keeps_the_same(
    data: st.DataObject, table: ScoreTable, chunk_size: int, k: int
) -> None:
    asked = [code for code, part in table.corpus.languages.items() if part.question_ids]
    if not asked:
        return
    call = Call(TableModel(table), MIRACLCL.metadata, "dev", {"show_progress_bar": False})
    calls = data.draw(st.integers(1, 30))

    def embed(*arguments: Any) -> Any:
        nonlocal calls
        calls -= 1
        if calls == 0:
            raise Stopped
        return call.embed(table.corpus, *arguments)

    with tempfile.TemporaryDirectory() as folder:
        start = partial(
            ChunkedRun,
            name="MIRACLCL",
            embed=embed,
            similarity=call.encoder.similarity,
            plan=ChunkPlan(table.corpus, asked, list(table.corpus.languages), chunk_size),
            folder=PassFolder.of({"model": "m", "model_revision": "1", "task": "T"}, Path(folder)),
            checkpoint_seconds=0,
            keep_top=k,
        )
        try:
            found = start().count().result()
        except Stopped:
            found = start().count().result()
    for expected in count_corpus(table.corpus, table.embeddings, table.similarity, asked, keep_top=k):
        counted = found[expected.targets.query_language]
        assert counted.top_languages.tolist() == expected.top_languages.tolist()
        tops, others = (top_rows(one, table.corpus, whole_pool=True) for one in (counted, expected))
        assert tops is not None
        assert others is not None
        assert rows_of(tops) == rows_of(others)
        assert tops.outranking == others.outranking
