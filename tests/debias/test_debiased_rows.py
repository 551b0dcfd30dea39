"""The script that makes the rank tables of rows that nobody trained, on small data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from beir_hybrid.corpora import load, ntrex
from beir_hybrid.debias.maps import METHODS, Lir, unit_rows
from beir_hybrid.models.base import find_base, training_prompts
from beir_hybrid.ranks import build, rank_table
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus, rank_rows
from beir_hybrid.scoring.interleaving import interleaved_ranks
from tests.support import small_ntrex
from tests.support.small_models import save_labse
from tests.tasks.test_xquad_r import use_small_data
from tools import debiased_rows
from tools.debiased_rows import Encoder, Rows, choose, translation_map

KEYS = ["query_id", "passage_id"]
LINES = slice(0, None, 2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rows]:
    """Return what makes rows of a small model, fitted on three sentences a language."""
    folder = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as patch:
        small_ntrex.write(use_small_data(folder, patch))
        patch.setattr(debiased_rows, "FIT", LINES)
        patch.setattr(debiased_rows, "HELD_OUT", slice(1, None, 2))
        patch.setattr(debiased_rows, "COMPONENTS", (1, 2))
        yield Rows(Encoder(find_base(str(save_labse(folder / "base"))), progress=False), folder / "out")


@pytest.mark.parametrize("row", ["untuned", *METHODS])
def test_a_row_has_the_ranks_of_the_mapped_embeddings(row: str, made: Rows) -> None:
    corpus, model = load("xquad-r"), made.encoder.base.load()
    prompts = training_prompts(model)
    sentences = ntrex.read(ntrex.SPEC, tuple(corpus.languages)).languages
    fitted = None
    if row != "untuned":
        of_language = {tag: model.encode(lines[LINES], prompt=prompts["answer"]) for tag, lines in sentences.items()}
        fitted = METHODS[row].fit(of_language, choose_by_hand(made, model, sentences) if row == "lir" else None)

    def embed(kind: str, texts: tuple[str, ...], tag: str) -> np.ndarray:
        rows = model.encode(list(texts), prompt=prompts[kind])
        return rows if fitted is None else fitted.transform(rows, tag)

    embeddings = Embeddings(
        {tag: embed("question", part.questions, tag) for tag, part in corpus.languages.items()},
        {tag: embed("answer", part.passages, tag) for tag, part in corpus.languages.items()},
    )
    counted = count_corpus(corpus, embeddings, lambda a, b: a @ b.T)
    expected = build("XQuADR", [rank_rows(ranks, corpus, whole_pool=True) for ranks in counted]).to_pandas()
    file = made.make(row, "XQuADR")
    table, info = rank_table.read(file)
    found = table.to_pandas().set_index(KEYS)["rank_in_pool"]
    # The same products, but for the last digits: texts that are equal but for unknown words may change places.
    assert (found - expected.set_index(KEYS)["rank_in_pool"]).abs().mean() < 0.2
    assert info.pairs is not None and len(info.pairs) == 132
    name = "beir-hybrid-study/base_untuned" if row == "untuned" else f"beir-hybrid-debias/{row}"
    assert info.model == name and str(info.model_revision) in str(file)


def choose_by_hand(made: Rows, model, sentences) -> int:
    prompt = training_prompts(model)["answer"]
    parts = [
        {tag: model.encode(lines[some], prompt=prompt) for tag, lines in sentences.items()}
        for some in (LINES, slice(1, None, 2))
    ]
    return choose(translation_map(*parts))


def test_the_interleaved_row_follows_from_the_untuned_one(made: Rows) -> None:
    table, info = rank_table.read(made.make("interleaved", "XQuADR"))
    base, base_info = rank_table.read(made.make("untuned", "XQuADR"))
    assert info.model == "beir-hybrid-debias/interleaved" != base_info.model
    assert info.model_revision != base_info.model_revision
    assert table["rank_in_pool"].to_pylist() == interleaved_ranks(base.to_pandas(), info.pool_sizes).tolist()


def test_held_out_translations_choose_the_number_of_components() -> None:
    random = np.random.default_rng(0)
    fit, held_out = ({x: unit_rows(random.normal(size=(20, 6))) for x in ("de", "en", "th")} for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(debiased_rows, "COMPONENTS", (1, 3))
        figures = translation_map(fit, held_out)
    for components, figure in figures.items():
        fitted = Lir.fit(fit, components)
        rows = {(x, n): fitted.transform(held_out[x][[n]], x)[0] for x in fit for n in range(20)}
        means = []
        for x in fit:
            precisions = []
            for n in range(20):
                others = [key for key in rows if key != (x, n)]
                order = sorted(others, key=lambda key: -float(rows[x, n] @ rows[key]))
                places = [place for place, (_, row) in enumerate(order, 1) if row == n]
                precisions.append(np.mean([number / place for number, place in enumerate(places, 1)]))
            means.append(np.mean(precisions))
        assert figure == pytest.approx(np.mean(means), abs=1e-12)
    assert choose({1: 0.50001, 2: 0.50004, 4: 0.4}) == 1
    assert choose({1: 0.1, 2: 0.2, 4: 0.15}) == 2


def test_an_unknown_row_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert debiased_rows.main([str(tmp_path), "--rows", "magic"]) == 2
    assert capsys.readouterr().err.startswith("error: --rows: there is no row 'magic'; there are untuned, projection")
