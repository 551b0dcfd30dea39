"""A map that is the same for all texts, as the last layer of an ordinary SentenceTransformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from beir_hybrid.debias.maps import METHODS, AffineMap, Array, DebiasError, Embeddings, Map
from beir_hybrid.errors import ModelError
from beir_hybrid.models.base import model_like, training_prompts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def fit(embeddings: Embeddings, method: str = "projection", components: int | None = None) -> Map:
    """Fit a map on embeddings.

    Args:
        embeddings: Language -> embeddings of sentences, shape (sentences, dimensions), with the prompt of passages.
        method: ``projection``, ``leace``, ``centring`` or ``lir``.
        components: Directions to take out; by default what the method says.

    Returns:
        The map, whose ``transform`` takes other embeddings of the same model.

    Raises:
        DebiasError: There is no such method, or the map cannot be fitted; see `Map.fit`.
    """
    if method not in METHODS:
        raise DebiasError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    return METHODS[method].fit(embeddings, components)


def debias(
    model: SentenceTransformer,
    sentences: Mapping[str, Sequence[str]],
    method: str = "projection",
    components: int | None = None,
) -> SentenceTransformer:
    """Take the language out of a model's embeddings.

    Args:
        model: The model; it stays as it is, and shares its modules with the result.
        sentences: Language -> sentences, which need not be parallel.
        method: ``projection`` or ``leace``.
        components: Directions to take out; by default what the method says.

    Returns:
        The model with a Dense layer behind it, and a Normalize where its embeddings are normalised.

    Raises:
        ModelError: The model has no output that a Dense layer can follow.
        DebiasError: The map cannot be fitted, or needs the language of each text.
    """
    check_model(model)
    check_method(method)
    prompt = training_prompts(model)["answer"]
    embeddings = {
        language: np.asarray(model.encode(list(texts), prompt=prompt, show_progress_bar=False))
        for language, texts in sentences.items()
    }
    return with_map(model, fit(embeddings, method, components))


def affine_methods() -> tuple[str, ...]:
    """Return the methods that a Dense layer can hold."""
    return tuple(name for name, kind in METHODS.items() if issubclass(kind, AffineMap))


def check_method(method: str, others: Sequence[str] = ()) -> None:
    """Refuse a method that is not one map for all texts; ``others`` are named beside those that are.

    Raises:
        DebiasError: It needs the language of each text, or there is none of that name.
    """
    if method not in affine_methods():
        why = "needs the language of each text, which no model is told" if method in METHODS else "is no method"
        raise DebiasError(f"{method!r} {why}; a layer can be {' or '.join((*affine_methods(), *others))}")


def check_model(model: SentenceTransformer) -> None:
    """Refuse a model without an output that a Dense layer can follow.

    Raises:
        ModelError: It is sparse, late-interaction or a cross-encoder, has routes, or cuts its embeddings.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    if not isinstance(model, SentenceTransformer):
        raise ModelError(f"a {type(model).__name__} has no embedding of a text that a Dense layer can follow")
    if any(isinstance(module, Router) for module in model.modules()):
        raise ModelError(
            "the model has different encoders for questions and passages (Router), and a Dense layer stands behind one"
        )
    if model.truncate_dim is not None:
        raise ModelError(
            f"the model cuts its embeddings to {model.truncate_dim} dimensions (truncate_dim), after its last layer: "
            "load it without"
        )


def with_map(model: SentenceTransformer, fitted: Map) -> SentenceTransformer:
    """Return a model with a map behind it, as a Dense layer, and Normalize where the map's embeddings are normalised.

    The modules of the model are shared, not copied.

    Raises:
        DebiasError: The map needs the language of each text.
    """
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize
    from torch import nn

    if not isinstance(fitted, AffineMap):
        check_method(fitted.method)
        raise DebiasError(f"{fitted.method} is not one affine map")

    def weights(values: Array) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))

    shift, size = fitted.shift, fitted.dimensions
    dense = Dense(
        size,
        size,
        bias=shift is not None,
        activation_function=nn.Identity(),
        init_weight=weights(fitted.matrix.T),
        init_bias=None if shift is None else weights(shift),
    )
    precision = next((parameter.dtype for parameter in model.parameters()), torch.float32)
    modules = [*model, dense.to(precision), *([Normalize()] if fitted.normalize else [])]
    return model_like(model, modules)
