"""Whatever a user calls a model, as a model that MTEB can run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from beir_hybrid.errors import BeirHybridError, ModelError, one_line
from beir_hybrid.files import as_folder, shown, user_path
from beir_hybrid.quiet import silenced
from beir_hybrid.ranks.schema import NO_NAME, NO_REVISION

if TYPE_CHECKING:
    from mteb.models import ModelMeta, MTEBModels

Similarity = Literal["cosine", "dot"]
"""How the vectors of a callable, or of a BEIR model, are compared."""

_KINDS = (
    "a SentenceTransformer, a model of MTEB, what `mteb run -m` takes (a name or a folder), a BEIR retriever, or a "
    "callable that takes a list of texts and returns a row of numbers for each"
)


def mteb_model(
    model: Any, *, name: str | None = None, revision: str | None = None, similarity: Similarity | None = None
) -> MTEBModels:
    """Return a model that MTEB can run; what is given is not changed.

    Args:
        model: See ``evaluate``.
        name: What results and rank tables call it, in place of its own name.
        revision: Its revision there. Of a name or a folder: the one to load.
        similarity: Of a callable or a BEIR model: how vectors are compared, ``cosine`` by default.

    Raises:
        ModelError: It is nothing that could be run, or cannot be loaded.
    """
    _check_label(name, revision)
    if isinstance(model, str | Path):
        _refuse_similarity(model, similarity)
        return _named(_load(str(model), revision), name, None)
    if isinstance(model, type):
        check_makeable(model)
        raise ModelError(f"{model.__name__} is a class; make a model of it first, or give {_KINDS}")
    wrapped = _of_mteb(model)
    if wrapped is not None:
        _refuse_similarity(model, similarity)
        return _named(wrapped, name, revision)
    from beir_hybrid.interface.text_encoders import beir_model, callable_encoder

    meta = _empty_meta(name, revision)
    of_beir = beir_model(model, meta, similarity)
    if of_beir is not None:
        return _named(of_beir, name, revision)
    if callable(model):
        return callable_encoder(model, meta, similarity)
    raise ModelError(f"{_kind(model)} is no model; give {_KINDS}")


def check_makeable(kind: object) -> None:
    """Refuse a class in the place of a model of which BEIR left methods abstract, as 2.2.0 did with FAISS searches.

    Raises:
        ModelError: It is such a class.
    """
    abstract: frozenset[str] = getattr(kind, "__abstractmethods__", frozenset())
    if isinstance(kind, type) and abstract and kind.__module__.partition(".")[0] == "beir":
        raise ModelError(
            f"this BEIR makes no {kind.__name__}, whose methods {' and '.join(sorted(abstract))} are "
            'missing; take BEIR 2.1, or give the model itself with index="HNSW32" or another index'
        )


def _load(name: str, revision: str | None) -> MTEBModels:
    """Load what `mteb run -m` would load."""
    from beir_hybrid.mteb.registration import register

    register()
    import mteb

    try:
        with silenced(notes=True):  # mteb says of a misspelt name what it tried, in several lines
            return mteb.get_model(name, revision)
    except BeirHybridError:
        raise
    except Exception as error:  # mteb's, the hub's, torch's
        known = "" if user_path(name).is_dir() else "there is no such folder, and as a name: "
        if type(error).__name__.startswith("Connect"):  # the hub's client says what the socket said
            known += "the Hugging Face hub cannot be reached: "
        raise ModelError(f"cannot load the model {shown(name)!r}: {known}{one_line(error)}") from error


def _of_mteb(model: Any) -> MTEBModels | None:
    """Return a model of MTEB's, or of Sentence Transformers' in MTEB's wrapper; None for any other."""
    from mteb.models import CrossEncoderProtocol, EncoderProtocol, ModelMeta, SearchProtocol
    from mteb.models.sentence_transformer_wrapper import (
        CrossEncoderWrapper,
        MultiVectorWrapper,
        SentenceTransformerEncoderWrapper,
        SparseEncoderWrapper,
    )
    from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder

    from beir_hybrid.debias.aware import AwareTransformer
    from beir_hybrid.mteb.aware_encoder import AwareEncoder

    if isinstance(model, ModelMeta):
        return _load(model.name or NO_NAME, model.revision) if model.loader is None else model.load_model()
    if isinstance(model, AwareTransformer):
        return AwareEncoder(_of_mteb(model.model), model.fitted, model.language)  # type: ignore[arg-type]
    for kind, wrapper in (
        (SparseEncoder, SparseEncoderWrapper),
        (MultiVectorEncoder, MultiVectorWrapper),
        (CrossEncoder, CrossEncoderWrapper),
        (SentenceTransformer, SentenceTransformerEncoderWrapper),
    ):
        if isinstance(model, kind):
            return wrapper(model)  # type: ignore[arg-type]
    meta = getattr(model, "mteb_model_meta", None)
    if meta is None:
        return None
    if not isinstance(meta, ModelMeta):
        raise ModelError(f"{_kind(model)}: its mteb_model_meta is {_kind(meta)}, not a ModelMeta of mteb")
    if not isinstance(model, EncoderProtocol | SearchProtocol | CrossEncoderProtocol):
        raise ModelError(
            f"{_kind(model)} has metadata of MTEB, but it neither encodes nor searches: it needs the methods encode "
            "and similarity, or index and search"
        )
    return model


def _named(model: MTEBModels, name: str | None, revision: str | None) -> MTEBModels:
    """Return the model under another name; a copy, which shares all it has."""
    changes = {key: value for key, value in (("name", name), ("revision", revision)) if value is not None}
    if not changes:
        return model
    named = copy.copy(model)
    try:
        named.mteb_model_meta = model.mteb_model_meta.model_copy(update=changes)  # type: ignore[misc]
    except AttributeError as error:
        raise ModelError(
            f"{_kind(model)} cannot be called {', '.join(changes.values())}: set the name in its mteb_model_meta"
        ) from error
    return named


def _empty_meta(name: str | None, revision: str | None) -> ModelMeta:
    from mteb.models import ModelMeta

    return ModelMeta.create_empty({"name": name or NO_NAME, "revision": revision or NO_REVISION})


def _check_label(name: str | None, revision: str | None) -> None:
    """Refuse names that MTEB's results could not be filed under."""
    for what, label in (("name", name), ("revision", revision)):
        if label is not None and (not label.strip() or as_folder(label) != label.replace("/", "__").replace(" ", "_")):
            raise ModelError(f"{what}={shown(label)!r}: write letters, digits, '-', '_', '.' and '/', such as me/model")


def _refuse_similarity(model: Any, similarity: str | None) -> None:
    if similarity is not None:
        raise ModelError(
            f"similarity={shown(similarity)!r} is for callables and models of BEIR; {_kind(model)} says itself how its "
            "vectors are compared"
        )


def _kind(thing: Any) -> str:
    return shown(thing) if isinstance(thing, str | Path) else f"a {type(thing).__name__}"
