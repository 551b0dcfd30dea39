"""The top passages of each query in MTEB's predictions format, found by FAISS.

The counting pass needs no top-k; predictions are made only for callers who ask for them, and written subset by
subset, since 132 subsets of 1190 queries hold 150 million scores.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch

from beir_hybrid.corpora.formats.trec import read_predictions
from beir_hybrid.errors import BeirHybridError, DataError
from beir_hybrid.files import atomic_path
from beir_hybrid.mteb.passes import CountedRun
from beir_hybrid.scoring.confidence import TOP_K
from beir_hybrid.scoring.counting import scores_of
from beir_hybrid.scoring.matrices import is_sparse, select_rows
from beir_hybrid.subsets import MULTI, Subset

if TYPE_CHECKING:
    from mteb import EncoderProtocol
    from numpy.typing import NDArray

    from beir_hybrid.corpora.parallel import ParallelCorpus
    from beir_hybrid.scoring.corpus_scores import Embeddings

Predictions = dict[str, dict[str, float]]
"""Query id -> passage id -> score."""

_META = "mteb_model_meta"


class _Pool:
    """The passages of one pool, ready to be searched."""

    def __init__(
        self, model: EncoderProtocol, corpus: ParallelCorpus, embeddings: Embeddings, languages: Sequence[str]
    ) -> None:
        from mteb.models.search_encoder_index.search_indexes.faiss_search_index import FaissSearchIndex

        self.model = model
        self.ids = np.array([i for language in languages for i in corpus.languages[language].passage_ids])
        self.parts = [embeddings.passages[language] for language in languages]
        self.index: FaissSearchIndex | None = None
        if any(is_sparse(part) for part in self.parts):
            return  # FAISS knows neither sparse embeddings
        try:
            self.index = FaissSearchIndex(model)
        except ValueError:
            return  # nor every similarity: the model's own is used
        for language, part in zip(languages, self.parts, strict=True):
            self.index.add_documents(_single(part), list(corpus.languages[language].passage_ids))

    def search(self, questions: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the best scores and their rows, two (Q, k) arrays."""
        if self.index is not None:
            scores, rows = self.index.search(_single(questions), TOP_K, self.model.similarity)
            return np.asarray(scores, dtype=np.float32), np.asarray(rows)
        blocks = [scores_of(self.model.similarity, questions, part).cpu() for part in self.parts]
        best = torch.topk(torch.cat(blocks, dim=1), min(TOP_K, len(self.ids)), dim=1)
        return best.values.numpy(), best.indices.numpy()


def _single(matrix: Any) -> torch.Tensor:
    """Return a matrix in single precision, as ranks are computed from."""
    tensor = torch.as_tensor(matrix).detach()
    return (tensor.to_dense() if is_sparse(tensor) else tensor).float()


def predict(
    model: EncoderProtocol, corpus: ParallelCorpus, run: CountedRun, subsets: Sequence[str]
) -> Iterator[tuple[str, Predictions]]:
    """Find the top 1000 passages of each query that has a relevant one in the pool.

    Args:
        model: The encoder, for its similarity.
        corpus: The questions and passages.
        run: Ranks and embeddings.
        subsets: Subsets such as ``en-de`` and ``en-multi``.

    Yields:
        Subset and its predictions.
    """
    embeddings = run.embeddings
    assert embeddings is not None, "a pass of its own"
    pools: dict[str, _Pool] = {}
    for subset in subsets:
        query_language, pool = Subset.parse(subset)
        if pool not in pools:
            pools[pool] = _Pool(model, corpus, embeddings, list(embeddings.passages) if pool == MULTI else [pool])
        targets = run.counted[query_language].targets
        judged = targets.queries
        if pool != MULTI:
            judged = judged[targets.languages == targets.passage_languages.index(pool)]
        queries = np.unique(judged)
        scores, rows = pools[pool].search(select_rows(embeddings.questions[query_language], queries))
        query_ids = corpus.languages[query_language].query_ids
        yield (
            subset,
            {
                query_ids[query]: dict(zip(pools[pool].ids[row].tolist(), _short(score), strict=True))
                for query, row, score in zip(queries, rows, scores, strict=True)
            },
        )


def _short(scores: NDArray[np.float32]) -> list[float]:
    """Give float32 scores as floats that print with the digits a float32 has, and not with those of a double."""
    return [float(text) for text in scores.astype(np.str_)]


def write_predictions(
    path: Path, model_meta: Mapping[str, Any], split: str, predictions: Iterator[tuple[str, Predictions]]
) -> None:
    """Write predictions as MTEB does, beside those of other subsets and splits that the file may hold already.

    Predictions of another model or revision are replaced: the file names one model for all of them.

    Args:
        path: ``<folder>/<task>_predictions.json``.
        model_meta: Name and revision of the model.
        split: Split of the predictions.
        predictions: Subset by subset.

    Raises:
        BeirHybridError: The old file is not MTEB's predictions format, or the file cannot be written.
    """
    kept = _other_splits(path, model_meta, split)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f"{{{json.dumps(_META)}: {json.dumps(model_meta)}")
        written = set()
        for subset, found in predictions:
            _write_subset(file, subset, {**kept.get(subset, {}), split: found})
            written.add(subset)
        for subset, splits in _subsets(path) if kept else ():
            if subset not in written:
                _write_subset(file, subset, splits)
        file.write("}")


def _write_subset(file: IO[str], subset: str, splits: Mapping[str, Predictions]) -> None:
    file.write(f", {json.dumps(subset)}: ")
    json.dump(splits, file)


def _other_splits(path: Path, model_meta: Mapping[str, Any], split: str) -> dict[str, dict[str, Any]]:
    """Return the subsets of a file of the same model, each with its predictions of other splits than ``split``.

    The file is read once, subset by subset, before anything is written: it must be whole.
    """
    if not path.exists():
        return {}
    entries = read_predictions(path)
    try:
        first = next(entries, None)
        others = {subset: {name: splits[name] for name in splits if name != split} for subset, splits in entries}
    except DataError as error:
        raise BeirHybridError(f"{path} is not a predictions file ({error}); move it away and run again") from error
    if first is None or first[0] != _META:
        raise BeirHybridError(f"{path} is not a predictions file (its model is missing); move it away and run again")
    return others if first[1] == model_meta else {}


def _subsets(path: Path) -> Iterator[tuple[str, Any]]:
    return ((key, splits) for key, splits in read_predictions(path) if key != _META)
