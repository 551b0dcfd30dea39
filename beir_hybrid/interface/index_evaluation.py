"""A model served from an index, and a search, beside exact search by the same embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import pyarrow.compute as pc

from beir_hybrid.errors import ModelError
from beir_hybrid.files import as_folder, shown, user_path
from beir_hybrid.indexing.faiss_index import METRICS, FaissIndex, Metric, check_index
from beir_hybrid.indexing.index_table import TOP, IndexTable, index_name, index_rows
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.interface.result import Result
from beir_hybrid.interface.task_run import run_task
from beir_hybrid.ranks.rows import Columns, build
from beir_hybrid.ranks.tops import Tops, merge
from beir_hybrid.revisions import STATE
from beir_hybrid.subsets import MULTI

if TYPE_CHECKING:
    from mteb.models import MTEBModels
    from numpy.typing import NDArray

    from beir_hybrid.corpora import ParallelCorpus
    from beir_hybrid.mteb.passes import CountedRun
    from beir_hybrid.scoring.corpus_scores import Embeddings


@dataclass(frozen=True)
class AskedIndex:
    """An index as it was asked for.

    Attributes:
        factory: A string of faiss's index factory.
        params: Parameters by their names in faiss's ParameterSpace.
        k: Passages that it is asked for.
    """

    factory: str
    params: Mapping[str, float]
    k: int


def asked_index(factory: str | None, params: Mapping[str, float] | None, k: int) -> AskedIndex | None:
    """Return the index that was asked for, after a look at what is no index whatever the pool; None for none.

    Raises:
        IndexingError: faiss knows no such index or parameter, or k is below 1.
    """
    check_index(factory, params, k)
    return None if factory is None else AskedIndex(factory, dict(params or {}), k)


@dataclass(frozen=True, eq=False, repr=False)
class IndexResult(RankTable):
    """The ranks of a model as an index finds them: ``settings``, ``index`` and all other figures of a rank table.

    What the index did not return has no rank. Name and revision are the model's, with the index behind the revision.

    Attributes:
        exact: The same model in exact search.
    """

    exact: Result = field(kw_only=True)

    def stored(self, folder: Path) -> Self:
        """Write both rank tables below a folder, and the table of the index; see ``RankTable.stored``."""
        return replace(super().stored(folder), exact=self.exact.stored(folder))

    def save(self, folder: str | Path) -> list[Path]:
        """Write the rank table of the index, its table, and all of exact search below a folder; see ``Result.save``."""
        exact = self.exact.save(folder)  # which checks the folder
        of_index = super().stored(user_path(folder))
        return [*super(IndexResult, of_index).files, *exact]

    @property
    def files(self) -> list[Path]:
        """The files of both rank tables, see ``RankTable.files``."""
        return [*super().files, *self.exact.files]


def evaluate_index(
    model: MTEBModels,
    corpus: ParallelCorpus,
    asked: AskedIndex,
    batch_size: int,
    progress: bool,
    keep_top: int | None = None,
) -> IndexResult:
    """Evaluate a model of MTEB's from one index over the whole pool, and exactly, and store nothing; see ``evaluate``.

    Each text is encoded once.

    Args:
        model: An encoder.
        corpus: The corpus, with its spec.
        asked: The index.
        batch_size: Texts that the model is given at a time.
        progress: Show progress bars.
        keep_top: Passages of each query to keep in each pool; None for none.

    Raises:
        IndexingError: faiss cannot make the index, or searches no single language in it.
        ModelError: The model is no encoder, or its embeddings cannot be in an index.
    """
    metric = metric_of(model)
    exact, embeddings = exactly(model, corpus, batch_size, progress, keep_top)
    found = indexed(exact, corpus, embeddings, metric, asked, keep_top)
    return IndexResult(
        found.table,
        found.info,
        found.metric,
        kept_tops=found.kept_tops,
        kept_index=found.kept_index,
        exact=replace(exact, kept_tops=_shortened(exact.kept_tops, keep_top)),
    )


def exactly(
    model: MTEBModels, corpus: ParallelCorpus, batch_size: int, progress: bool, keep_top: int | None = None
) -> tuple[Result, Embeddings]:
    """Evaluate an encoder exactly, its first ten passages kept at least, and return its embeddings, too."""
    seen: list[CountedRun] = []
    exact = run_task(model, corpus, batch_size, progress, max(TOP, keep_top or 0), seen.append)
    embeddings = seen[0].embeddings
    assert embeddings is not None, "a pass of its own"
    return exact, embeddings


def indexed(
    exact: RankTable,
    corpus: ParallelCorpus,
    embeddings: Embeddings,
    metric: Metric,
    asked: AskedIndex,
    keep_top: int | None = None,
) -> RankTable:
    """Build an index over the whole pool, search it, and compare what it finds with the exact ranking.

    Args:
        exact: Exact search by the same embeddings, with the first ten passages of each query.
        corpus: The corpus.
        embeddings: Of all its questions and passages.
        metric: How they are compared.
        asked: The index.
        keep_top: Passages of each query to keep in each pool; None for none.

    Raises:
        IndexingError: faiss cannot make the index, or searches no single language in it.
    """
    from beir_hybrid.indexing.index_ranks import (
        Pool,
        Ranking,
        first_passages,
        ignored_rows,
        index_tops,
        rank_columns,
    )
    from beir_hybrid.scoring.targets import Targets

    pool = Pool(corpus, tuple(embeddings.passages))
    index = FaissIndex(
        asked.factory,
        asked.params,
        np.concatenate([_matrix(embeddings.passages[language]) for language in pool.languages]),
        metric,
    )
    chunks: list[Columns] = []
    tops: list[Tops] = []
    first: dict[str, list[str]] = {}
    parts = [None, *(pool.rows_of(number) for number in range(len(pool.languages)))]
    for language, questions in embeddings.questions.items():
        targets = Targets.of(corpus, language, pool.languages)
        ignored = ignored_rows(targets, pool)
        most = int(np.bincount(ignored[0]).max(initial=0))  # are taken out of the results again
        found = index.search(_matrix(questions), asked.k + most, parts)
        in_pool, *in_language = [Ranking.of(scores, rows, pool, ignored, asked.k) for scores, rows in found]
        chunks.append(rank_columns(targets, pool, in_pool, in_language))
        first |= first_passages(targets, pool, in_pool, TOP)
        if keep_top is not None:
            tops.append(index_tops(targets, pool, in_pool, in_language, keep_top))
    name = index_name(asked.factory, asked.params)
    revision, state, digest = exact.info.model_revision.partition(STATE)
    info = replace(exact.info, model_revision=f"{revision}/{as_folder(name)}{state}{digest}", cut=asked.k)
    table = build(info.task, chunks)
    rows = index_rows(table.to_pandas(), first, exact.ranks, _first_of(exact.kept_tops))
    return RankTable(
        table,
        info,
        exact.metric,
        kept_tops=merge(tops) if tops else None,
        kept_index=IndexTable(asked.factory, dict(asked.params), asked.k, rows),
    )


def evaluate_with_table(
    model: MTEBModels, corpus: ParallelCorpus, batch_size: int, progress: bool, keep_top: int | None = None
) -> Result:
    """Evaluate any model of MTEB's; of a search, say what it finds of the exact ranking, where it has an encoder.

    Args and errors are those of ``run_task``.
    """
    if not _searches(model):
        return run_task(model, corpus, batch_size, progress, keep_top)
    result = run_task(model, corpus, batch_size, progress, max(TOP, keep_top or 0))
    encoder = _encoder_of(model)
    exact = None if encoder is None else run_task(encoder, corpus, batch_size, progress, TOP)
    first = _first_of(result.kept_tops) or {}
    ranks = (exact.ranks, _first_of(exact.kept_tops)) if exact is not None else (None, None)
    assert result.info.cut is not None
    table = IndexTable(_name_of(model), {}, result.info.cut, index_rows(result.ranks, first, *ranks))
    return replace(result, kept_tops=_shortened(result.kept_tops, keep_top), kept_index=table)


def _searches(model: Any) -> bool:
    from mteb.models import SearchProtocol

    return isinstance(model, SearchProtocol)


def _encoder_of(model: Any) -> MTEBModels | None:
    """Return the encoder behind a search; None for a search without one, such as BM25."""
    from mteb.models import EncoderProtocol

    from beir_hybrid.interface.text_encoders import BeirSearch

    inner = model.encoder if isinstance(model, BeirSearch) else getattr(model, "model", None)
    return cast("MTEBModels", inner) if isinstance(inner, EncoderProtocol) and not _searches(inner) else None


def _name_of(model: Any) -> str:
    """Name a search by its class, and by that of its index where it has one."""
    backend = getattr(model, "index_backend", None)
    search = getattr(model, "beir_search", backend if backend is not None else model)
    return type(search).__name__


def metric_of(model: Any) -> Metric:
    """Return how the vectors of an encoder are compared.

    Raises:
        ModelError: It is no encoder, or compares otherwise than faiss can.
    """
    from mteb.models import EncoderProtocol

    name = shown(model.mteb_model_meta.name)
    if not isinstance(model, EncoderProtocol) or _searches(model):
        raise ModelError(f"{name} does not embed, and an index is made of embeddings; leave the index out")
    similarity = getattr(model.mteb_model_meta.similarity_fn_name, "value", None)
    for metric in METRICS:
        if similarity == metric:
            return metric
    raise ModelError(
        f"{name} compares its embeddings by {shown(similarity or 'a function it does not name')}; an index can be made "
        f"for {', '.join(METRICS)} (similarity_fn_name of its mteb_model_meta)"
    )


def _matrix(embeddings: Any) -> NDArray[np.float32]:
    """Return embeddings as faiss takes them.

    Raises:
        ModelError: They are sparse, or several vectors a text.
    """
    from beir_hybrid.scoring.matrices import is_sparse

    if is_sparse(embeddings) or len(embeddings.shape) != 2:
        raise ModelError("faiss indexes one dense vector a text; these embeddings are sparse, or several a text")
    matrix = embeddings.detach().cpu().float().numpy() if hasattr(embeddings, "detach") else embeddings
    return np.asarray(matrix, dtype=np.float32)


def _shortened(tops: Tops | None, k: int | None) -> Tops | None:
    """Return the best k of each query and pool; None where none are asked for."""
    if tops is None or k is None:
        return None
    return tops if k >= tops.k else Tops(tops.table.filter(pc.less_equal(tops.table["place"], k)), k, tops.outranking)


def _first_of(tops: Tops | None) -> dict[str, list[str]] | None:
    """Return query id -> ids of the first ten passages in the pool of all languages; None where they are not known."""
    if tops is None:
        return None
    inside = pc.and_(pc.equal(tops.table["pool"], MULTI), pc.less_equal(tops.table["place"], TOP))
    frame = tops.table.filter(inside).select(["query_id", "place", "passage_id"]).to_pandas()
    frame = frame.sort_values("place")
    return {str(query): list(ids) for query, ids in frame.groupby("query_id", observed=True, sort=False)["passage_id"]}
