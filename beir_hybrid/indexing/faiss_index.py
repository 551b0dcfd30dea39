"""One faiss index over a pool, built and searched as it would be served; single languages by an id selector on it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from beir_hybrid.errors import BeirHybridError, first_line
from beir_hybrid.files import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

Metric = Literal["cosine", "dot", "euclidean"]
"""How the vectors of a model are compared: normalised and by inner product, by inner product, by distance."""

METRICS: tuple[Metric, ...] = ("cosine", "dot", "euclidean")

NOTHING = -1
"""Stands for no passage, as in faiss."""

_SELECTABLE = "Flat, SQ, IVF (Flat, SQ, PQ), HNSW and PQ, behind OPQ, PCA or L2norm, in an IDMap, or with RFlat behind"
_ANY_SIZE = 64
_SEED = 1234  # faiss's own
_HELD_ELEMENTS = 16_000_000
"""Scores of a whole pool that are held at once."""


class IndexingError(BeirHybridError):
    """An index cannot be built, or not searched as asked."""


def _faiss() -> Any:
    """Load faiss, which only indexes need; what its Python gives to its classes, its types do not say."""
    import faiss

    return faiss


class FaissIndex:
    """An index over all passages of a pool, trained on them.

    Training has faiss's fixed seeds and passages are added on one thread: the same vectors make the same index, HNSW
    graphs too.

    Args:
        factory: A string of faiss's index factory, such as ``IVF128,Flat``.
        params: Parameters by their names in faiss's ParameterSpace, such as ``nprobe``.
        passages: Vectors of the pool, shape (N, D).
        metric: How they are compared.

    Raises:
        IndexingError: faiss does not know the string or a parameter, or needs more vectors than there are.
    """

    def __init__(
        self, factory: str, params: Mapping[str, float], passages: NDArray[np.float32], metric: Metric
    ) -> None:
        faiss = _faiss()
        self._metric = metric
        self.n_passages, size = passages.shape
        kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
        with _refusing(f"index {shown(factory)!r}: faiss cannot make it of {size} dimensions"):
            self._index = faiss.index_factory(size, factory, kind)
        for name, value in params.items():
            with _refusing(f"index parameter {shown(name)}={value:g}: {shown(factory)} does not take it"):
                faiss.ParameterSpace().set_index_parameter(self._index, name, value)
        self._factory = factory
        _set_up_training(self._index, polysemous=any(name.endswith("ht") for name in params))
        vectors = self._prepared(passages)
        with _refusing(
            f"index {shown(factory)!r}: faiss cannot train it on the {self.n_passages} passages of the pool"
        ):
            self._index.train(vectors)
            with _one_thread():
                if _needs_ids(self._index):
                    self._index.add_with_ids(vectors, np.arange(self.n_passages))
                else:
                    self._index.add(vectors)

    def search(
        self, questions: NDArray[np.float32], k: int, pools: Sequence[NDArray[np.int64] | None]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Search some pools for the same questions.

        Args:
            questions: Vectors, shape (Q, D).
            k: Passages to return for each.
            pools: Rows of the passages of each pool; None for all of them.

        Returns:
            For each pool scores and rows of the passages, two arrays of shape (Q, k') with k' at most k: larger scores
            are better, and the row -1 stands behind the last passage that the index returns.

        Raises:
            IndexingError: The index takes no selector, or refuses a parameter.
        """
        vectors = self._prepared(questions)
        with _refusing(f"index {shown(self._factory)!r} cannot be searched"):
            if _is_scan_without_selector(self._index):
                return self._scanned(vectors, k, pools)
            return [self._searched(vectors, k, rows) for rows in pools]

    def _searched(
        self, vectors: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        faiss = _faiss()
        size = self.n_passages if rows is None else len(rows)
        params = None
        if rows is not None:
            chosen = np.zeros(self.n_passages, dtype=np.bool_)
            chosen[rows] = True
            bits = np.packbits(chosen, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            params = _search_parameters(self._index, selector, self._factory)
        try:
            scores, found = self._index.search(vectors, min(k, size), params=params)
        except RuntimeError as error:
            if params is None or not re.search("not supported|invalid search params", str(error)):
                raise
            raise _not_by_language(self._factory) from error
        return self._signed(scores), found

    def _scanned(
        self, vectors: NDArray[np.float32], k: int, pools: Sequence[NDArray[np.int64] | None]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Search an index that scores every passage and takes no selector: all of its scores, and of them a pool's."""
        sizes = [self.n_passages if rows is None else len(rows) for rows in pools]
        parts: list[list[tuple[NDArray[np.float32], NDArray[np.int64]]]] = [[] for _ in pools]
        step = max(1, _HELD_ELEMENTS // self.n_passages)
        for start in range(0, len(vectors), step):
            scores, found = self._index.search(vectors[start : start + step], self.n_passages)
            for part, rows, size in zip(parts, pools, sizes, strict=True):
                if rows is None:
                    part.append((scores[:, :k], found[:, :k]))
                    continue
                chosen = np.zeros(self.n_passages, dtype=np.bool_)
                chosen[rows] = True
                inside = chosen[found]
                part.append((scores[inside].reshape(-1, size)[:, :k], found[inside].reshape(-1, size)[:, :k]))
        return [
            (self._signed(np.concatenate([scores for scores, _ in part])), np.concatenate([found for _, found in part]))
            for part in parts
        ]

    def _signed(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn distances into scores, of which the larger is the better."""
        return -scores if self._metric == "euclidean" else scores

    def _prepared(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        faiss = _faiss()
        prepared = np.array(vectors, dtype=np.float32, order="C")
        if self._metric == "cosine":
            faiss.normalize_L2(prepared)
        return prepared


def check_index(factory: object, params: Mapping[str, object] | None, k: object) -> None:
    """Refuse what is no index whatever the pool is, before a model encodes anything.

    Args:
        factory: A string of faiss's index factory; None for no index.
        params: Its parameters.
        k: Passages asked for.

    Raises:
        IndexingError: faiss does not know the string, a parameter is no number, or k is below 1.
    """
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise IndexingError(f"index k {shown(k)}: write a whole number above 0")
    if factory is None:
        if params:
            raise IndexingError("parameters of an index were given, but no index; name one, such as IVF128,Flat")
        return
    if not isinstance(factory, str) or not factory.strip():
        raise IndexingError(f"index {shown(factory)!r}: write a string of faiss's index factory, such as IVF128,Flat")
    for name, value in (params or {}).items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise IndexingError(f"index parameter {shown(name)}={shown(value)}: write a number from 0 on")
    faiss = _faiss()
    try:
        faiss.index_factory(_ANY_SIZE, factory)
    except RuntimeError as error:
        if "could not parse" in str(error):  # anything else may be right for vectors of another size
            raise IndexingError(
                f"index {shown(factory)!r} is none of faiss's index factory; write one such as IVF128,Flat or HNSW32"
            ) from error


def parse_params(text: str | None) -> dict[str, float]:
    """Return parameters as they are written: ``nprobe=8,quantizer_efSearch=32``.

    Raises:
        IndexingError: They are written otherwise, or one stands twice.
    """
    params: dict[str, float] = {}
    for part in (text or "").split(",") if text is not None else ():
        name, _, value = (piece.strip() for piece in part.partition("="))
        if not re.fullmatch(r"\w+", name) or name in params or not re.fullmatch(r"\d+(\.\d+)?(e\d+)?", value):
            raise IndexingError(f"--index-params {shown(text)!r}: write each once, such as nprobe=8,max_codes=1000")
        params[name] = float(value) if re.search(r"[.e]", value) else int(value)
    return params


def _search_parameters(index: Any, selector: Any, factory: str) -> Any:
    """Return parameters with a selector that say of everything else what the index says itself.

    faiss takes all parameters of a search from here, so that those that stand in the index are carried over.
    """
    faiss = _faiss()
    index = faiss.downcast_index(index)
    inner = lambda part: _search_parameters(part, selector, factory)  # noqa: E731
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(index_params=inner(index.index))
    if isinstance(index, faiss.IndexIDMap):
        return inner(index.index)
    if isinstance(index, faiss.IndexRefine):
        return faiss.IndexRefineSearchParameters(k_factor=index.k_factor, base_index_params=inner(index.base_index))
    # With a selector, older versions of faiss end the process in the search of other inverted files.
    if isinstance(
        index, faiss.IndexIVFFlat | faiss.IndexIVFScalarQuantizer | faiss.IndexIVFPQ | faiss.IndexIVFPQFastScan
    ):
        return faiss.SearchParametersIVF(sel=selector, nprobe=index.nprobe, max_codes=index.max_codes)
    if isinstance(index, faiss.IndexHNSW) and not isinstance(index, faiss.IndexHNSW2Level):
        return faiss.SearchParametersHNSW(sel=selector, efSearch=index.hnsw.efSearch)
    if isinstance(index, faiss.IndexFlatCodes):
        return faiss.SearchParameters(sel=selector)
    raise _not_by_language(factory)


def _not_by_language(factory: str) -> IndexingError:
    return IndexingError(
        f"index {shown(factory)!r}: faiss searches no single language in it, for it takes no id selector; indexes that "
        f"do are {_SELECTABLE}"
    )


def _is_scan_without_selector(index: Any) -> bool:
    """Whether an index compares every passage with a question, but takes no selector: product quantizers and the like.

    Every passage has its score there, whatever else is in the pool.
    """
    faiss = _faiss()
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform | faiss.IndexIDMap):
        return _is_scan_without_selector(index.index)
    return isinstance(index, faiss.IndexPQ | faiss.IndexFastScan | faiss.IndexAdditiveQuantizer)


def _parts(index: Any) -> Iterator[Any]:
    """Yield an index and those it is made of."""
    faiss = _faiss()
    index = faiss.downcast_index(index)
    yield index
    for name in ("index", "base_index", "refine_index", "storage", "quantizer"):
        inner = getattr(index, name, None)
        if isinstance(inner, faiss.Index):
            yield from _parts(inner)


def _set_up_training(index: Any, polysemous: bool) -> None:
    """Fix the seeds, and leave out what no search uses.

    Args:
        index: The index.
        polysemous: Whether a parameter asks for polysemous search, for which faiss renumbers centroids for minutes: the
            results of any other search are the same without.
    """
    for part in _parts(index):
        if hasattr(part, "do_polysemous_training"):
            part.do_polysemous_training = polysemous
        for clustering in (getattr(part, "cp", None), getattr(getattr(part, "pq", None), "cp", None)):
            if clustering is not None:
                clustering.seed = _SEED
                clustering.min_points_per_centroid = 1  # or faiss prints a line for each of many quantizers


def _needs_ids(index: Any) -> bool:
    faiss = _faiss()
    return isinstance(faiss.downcast_index(index), faiss.IndexIDMap)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn what faiss says into one line."""
    try:
        yield
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        said = re.sub(r"^Error in .* at \S+:\d+: (Error: )?", "", first_line(error))
        raise IndexingError(f"{what}: {shown(said)}") from error


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let faiss work on one thread: graphs that several build differ from time to time."""
    faiss = _faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
