"""Callables and the retrievers of BEIR, in MTEB's interface."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from beir_hybrid.debias.aware import AwareRetriever
from beir_hybrid.errors import BeirHybridError, ModelError, one_line
from beir_hybrid.mteb.aware_encoder import AwareEncoder
from beir_hybrid.ranks.schema import NO_NAME

if TYPE_CHECKING:
    from mteb.models import EncoderProtocol, ModelMeta, MTEBModels

    from beir_hybrid.interface.any_model import Similarity

_SIMILARITIES = {"cosine": "cos_sim", "dot": "dot_score"}
"""How vectors are compared -> name of the function in sentence_transformers.util."""

_OF_BEIR = {"cos_sim": "cosine", "dot": "dot"}
"""BEIR's names of the same."""

_HINT = (
    "it must take a list of n texts and return n rows; if it takes one text, give lambda texts: [f(text) for text in "
    "texts]"
)


class TextEncoder:
    """An encoder of MTEB's around a function from texts to vectors.

    Args:
        embed: Batches of MTEB, whether they are of questions, and the batch size -> vectors, shape (n, D).
        meta: What MTEB knows of the model.
        similarity: How vectors are compared.
    """

    def __init__(
        self, embed: Callable[[Iterator[Mapping[str, Any]], bool, int], Any], meta: ModelMeta, similarity: str
    ) -> None:
        from mteb.models.model_meta import ScoringFunction
        from sentence_transformers import util

        if similarity not in _SIMILARITIES:
            raise ModelError(f"similarity={similarity!r}: write {' or '.join(_SIMILARITIES)}")
        self._embed = embed
        self._compare = getattr(util, _SIMILARITIES[similarity])
        self.mteb_model_meta = meta.model_copy(update={"similarity_fn_name": ScoringFunction(similarity)})

    def encode(self, inputs: Any, *, prompt_type: Any = None, batch_size: int = 32, **options: Any) -> Any:
        """Embed the n texts of a data loader, shape (n, D)."""
        from tqdm.auto import tqdm

        shown = None if options.get("show_progress_bar", True) else True
        batches = iter(tqdm(inputs, desc="Encoding", disable=shown))
        is_query = getattr(prompt_type, "value", prompt_type) == "query"
        return self._embed(batches, is_query, batch_size)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Compare all of (n, D) with all of (m, D), shape (n, m)."""
        return self._compare(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Compare (n, D) with (n, D) row by row, shape (n,)."""
        from sentence_transformers import util

        return getattr(util, f"pairwise_{self._compare.__name__}")(embeddings1, embeddings2)


def callable_encoder(
    function: Callable[[list[str]], Any], meta: ModelMeta, similarity: Similarity | None
) -> MTEBModels:
    """Make an encoder of a function that takes a list of n texts and returns (n, D), numpy or torch."""
    called = getattr(function, "__name__", type(function).__name__)
    if meta.name == NO_NAME and called.isidentifier() and hasattr(function, "__name__"):
        meta = meta.model_copy(update={"name": f"callable/{called}"})

    def embed(batches: Iterator[Mapping[str, Any]], is_query: bool, batch_size: int) -> Any:
        return _joined([_call(called, function, list(batch["text"])) for batch in batches], called)

    return cast("MTEBModels", TextEncoder(embed, meta, similarity or "cosine"))


def _call(called: str, function: Callable[[list[str]], Any], texts: list[str]) -> Any:
    try:
        vectors = function(texts)
    except BeirHybridError:
        raise
    except Exception as error:
        raise ModelError(f"{called} failed on a list of {len(texts)} texts, {one_line(error)}; {_HINT}") from error
    return _matrix(vectors, len(texts), called)


def _matrix(vectors: Any, n_texts: int, called: str) -> Any:
    """Return vectors as one matrix of numpy or torch, after a look at its shape."""
    import torch

    try:
        if isinstance(vectors, list | tuple) and vectors and all(isinstance(row, torch.Tensor) for row in vectors):
            vectors = torch.stack(list(vectors))
        elif not isinstance(vectors, torch.Tensor):
            vectors = np.asarray(vectors)
    except (RuntimeError, TypeError, ValueError) as error:  # rows of different lengths
        raise ModelError(f"{called} returned no matrix for {n_texts} texts: {one_line(error)}") from error
    if not isinstance(vectors, torch.Tensor) and vectors.dtype.kind not in "biuf":
        raise ModelError(f"{called} returned no numbers for {n_texts} texts, but {vectors.dtype}; {_HINT}")
    if vectors.ndim != 2 or len(vectors) != n_texts:
        raise ModelError(f"{called} returned an array of shape {tuple(vectors.shape)} for {n_texts} texts; {_HINT}")
    return vectors.detach() if isinstance(vectors, torch.Tensor) else vectors


def _joined(parts: Sequence[Any], called: str) -> Any:
    import torch

    widths = sorted({int(part.shape[1]) for part in parts})
    if len(widths) > 1:
        raise ModelError(f"{called} returned vectors of {widths[0]} and of {widths[1]} numbers; all must have the same")
    if all(isinstance(part, torch.Tensor) for part in parts):
        return torch.cat(list(parts))
    return np.concatenate([np.asarray(part) for part in parts])


def beir_model(model: Any, meta: ModelMeta, similarity: Similarity | None) -> MTEBModels | None:
    """Make a model of MTEB of what BEIR calls a retriever; None for anything else.

    A model with ``encode_queries`` and ``encode_corpus``, alone or in BEIR's exact search, becomes an encoder, so that
    ranks are counted; any other search stays one.
    """
    if _encodes(model):
        return _encoder(model, meta, similarity or "cosine")
    evaluator = model if callable(getattr(model, "retrieve", None)) and hasattr(model, "retriever") else None
    search = model if evaluator is None else evaluator.retriever
    if not callable(getattr(search, "search", None)):
        return None
    asked = {value: key for key, value in _OF_BEIR.items()}.get(similarity or "")
    score_function = asked or getattr(evaluator, "score_function", None) or "cos_sim"
    if _is_exact(search):
        if score_function not in _OF_BEIR:
            raise ModelError(f"score_function={score_function!r} is none of BEIR's; write {' or '.join(_OF_BEIR)}")
        return _encoder(search.model, meta, _OF_BEIR[score_function])
    return cast("MTEBModels", BeirSearch(search, score_function, meta))


def _encodes(model: Any) -> bool:
    return all(callable(getattr(model, name, None)) for name in ("encode_queries", "encode_corpus"))


def _is_exact(search: Any) -> bool:
    """Whether a search compares every question with every passage by a model's vectors, as BEIR's exact one does."""
    from beir.retrieval.search.dense import DenseRetrievalExactSearch

    exact = DenseRetrievalExactSearch.search
    return getattr(type(search), "search", None) is exact and _encodes(getattr(search, "model", None))


def _encoder(model: Any, meta: ModelMeta, similarity: str) -> MTEBModels:
    if isinstance(model, AwareRetriever):
        inner = cast("EncoderProtocol", _encoder(model.model, meta, similarity))
        return cast("MTEBModels", AwareEncoder(inner, model.fitted, model.language))
    called = type(model).__name__

    def embed(batches: Iterator[Mapping[str, Any]], is_query: bool, batch_size: int) -> Any:
        texts: list[Any] = [text for batch in batches for text in (batch["text"] if is_query else _documents(batch))]
        encode = model.encode_queries if is_query else model.encode_corpus
        options = {"batch_size": batch_size, "show_progress_bar": False, "convert_to_tensor": True}
        return _matrix(encode(texts, **options), len(texts), called)

    return cast("MTEBModels", TextEncoder(embed, meta, similarity))


def _documents(batch: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the passages of a batch as BEIR has them."""
    texts = batch["body"]
    titles = batch.get("title") or [""] * len(texts)
    return [{"title": title or "", "text": text} for title, text in zip(titles, texts, strict=True)]


class BeirSearch:
    """A search of BEIR's in MTEB's interface: each pool is searched by a copy of it that has seen no other.

    Args:
        search: BEIR's search.
        score_function: BEIR's name of the score.
        meta: What MTEB knows of it.
    """

    def __init__(self, search: Any, score_function: str, meta: ModelMeta) -> None:
        if getattr(search, "faiss_index", None) is not None:
            raise ModelError(f"{type(search).__name__} has indexed a pool and would search only that; make a new one")
        self.beir_search, self._score_function = search, score_function
        self._documents: dict[str, dict[str, str]] = {}
        kind = "dense" if hasattr(search, "model") else "sparse"
        self.mteb_model_meta = meta.model_copy(update={"model_type": [kind]})

    @property
    def encoder(self) -> MTEBModels | None:
        """The search's model as an encoder, which searches exactly; None where it has none."""
        model = getattr(self.beir_search, "model", None)
        return _encoder(model, self.mteb_model_meta, _OF_BEIR[self._score_function]) if _encodes(model) else None

    def index(self, corpus: Any, **options: Any) -> None:
        """Keep the passages of a pool, columns ``id``, ``text`` and perhaps ``title``."""
        self._documents = {row["id"]: {"title": row.get("title") or "", "text": row["text"]} for row in corpus}

    def search(self, queries: Any, *, top_k: int, **options: Any) -> dict[str, dict[str, float]]:
        """Return the best passages of each query: query id -> passage id -> score."""
        search = copy.copy(self.beir_search)
        for name in ("results", "mapping", "rev_mapping"):  # which copies would share
            if isinstance(getattr(search, name, None), dict):
                setattr(search, name, {})
        texts = {row["id"]: row["text"] for row in queries}
        # No more than there is: BEIR's FAISS search fills up with the last passage.
        found = search.search(self._documents, texts, min(top_k, len(self._documents)), self._score_function)
        return {query_id: self._checked(query_id, found.get(query_id, {})) for query_id in texts}

    def _checked(self, query_id: str, scores: Mapping[str, float]) -> dict[str, float]:
        """Refuse what cannot be ranked, and leave out the places for which FAISS found nothing."""
        limit = float(np.finfo(np.float32).max)
        for passage_id, score in scores.items():
            if passage_id not in self._documents:
                raise ModelError(f"the search returned {passage_id!r} for {query_id}, which is not in the pool")
            if np.isnan(score):
                raise ModelError(f"the search returned a score that is not a number for {query_id}")
        return {passage_id: float(score) for passage_id, score in scores.items() if abs(score) < limit}
