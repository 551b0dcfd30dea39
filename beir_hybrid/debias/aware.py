"""Models behind which a map stands that must know the language of each text: centring and LIR.

The language is told, by whoever calls or by ids such as ``de:7``, or it is read off the embedding, as that of the
nearest mean, where `NEAREST` asks for it. Without either there is an error: a language is never guessed silently.
Here are the wrappers of models of Sentence Transformers and of BEIR; that of MTEB's encoders, which are told the
language by the task, is `beir_hybrid.mteb.aware_encoder`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from beir_hybrid.debias.maps import DebiasError, LanguageMap, Map, nearest_language, unit_rows
from beir_hybrid.files import shown
from beir_hybrid.languages import is_tag

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

NEAREST = "nearest"
"""In place of a language: read it off the embedding."""

Language = str | Sequence[str] | None
"""The language of all texts, that of each text, or `NEAREST`; None where it is not known."""


def debiased(fitted: Map, embeddings: Any, language: Language) -> Any:
    """Take the language out of embeddings in one or several languages.

    Args:
        fitted: A map.
        embeddings: numpy or torch, shape (n, dimensions).
        language: The language of all of them, or n languages, or `NEAREST`. Maps that need none are not asked for it.

    Returns:
        Shape (n, dimensions), in the container and on the device of ``embeddings``.

    Raises:
        DebiasError: The language is needed and not known, or the map was not fitted on it.
    """
    if hasattr(embeddings, "detach"):
        import torch

        plain = embeddings.detach()
        rows = (plain.to_dense() if plain.is_sparse else plain).cpu()
        mapped = debiased(fitted, (rows.float() if rows.is_floating_point() else rows).numpy(), language)
        return torch.from_numpy(mapped).to(plain.device)
    embeddings = np.asarray(embeddings)
    if embeddings.dtype.kind != "f":
        raise DebiasError(
            f"{fitted.method} maps embeddings of floating-point numbers, not of {embeddings.dtype.name}; embed without "
            "a precision, and quantize afterwards"
        )
    if not isinstance(fitted, LanguageMap):
        return fitted.transform(embeddings)
    if language is None:
        raise DebiasError(
            f"{fitted.method} needs the language of each text: give it, or say {NEAREST!r} to read it off the embedding"
        )
    if isinstance(language, str) and language != NEAREST:
        return fitted.transform(embeddings, language)
    languages = nearest_language(embeddings, fitted.means) if isinstance(language, str) else list(language)
    if len(languages) != len(embeddings):
        raise DebiasError(f"{len(languages)} languages are given for {len(embeddings)} texts")
    mapped, names = np.empty(embeddings.shape, np.result_type(embeddings, np.float32)), np.array(languages, object)
    for name in dict.fromkeys(languages):
        mapped[names == name] = fitted.transform(embeddings[names == name], name)
    return mapped


class AwareTransformer:
    """A SentenceTransformer with a map behind it; whatever else the model has is the model's.

    Args:
        model: The model that the map was fitted on; it may have a map behind it already.
        fitted: The map.
        language: What `encode` takes for the language where it is told none: a language, or `NEAREST`.

    Examples:
        >>> model = AwareTransformer(SentenceTransformer("intfloat/multilingual-e5-small"), read_map(Path("centring")))
        >>> model.encode_query(["Wie hoch ist der Eiffelturm?"], language="de")
        >>> model.encode_document(["It is 330 metres tall.", "Paris est grand."], language=["en", "fr"])
        >>> model.encode_document(["Paris est grand."], language="nearest")
    """

    def __init__(self, model: SentenceTransformer | AwareTransformer, fitted: Map, language: str | None = None) -> None:
        _check_dimensions(fitted, model.get_embedding_dimension())
        check_default(fitted, language)
        self.model, self.fitted, self.language = model, fitted, language

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "model":  # while it is copied there is no model yet
            raise AttributeError(name)
        return getattr(self.model, name)

    def encode(self, sentences: str | Sequence[str], *, language: Language = None, **options: Any) -> Any:
        """Embed texts and take their language out.

        Args:
            sentences: n texts, or one.
            language: The language of all of them, n languages, or `NEAREST`.
            **options: Those of the model's own ``encode``.

        Returns:
            What ``encode`` returns: shape (n, dimensions), or (dimensions,) for one text.

        Raises:
            DebiasError: The language is not known, or what is asked for is no embedding of a text.
        """
        return self._encode(self.model.encode, sentences, language, options)

    def encode_query(self, sentences: str | Sequence[str], *, language: Language = None, **options: Any) -> Any:
        """Embed questions with the model's prompt for them, as `encode` does.

        Args:
            sentences: As for `encode`.
            language: As for `encode`.
            **options: Those of the model's own ``encode_query``.
        """
        return self._encode(self.model.encode_query, sentences, language, options)

    def encode_document(self, sentences: str | Sequence[str], *, language: Language = None, **options: Any) -> Any:
        """Embed passages with the model's prompt for them, as `encode` does.

        Args:
            sentences: As for `encode`.
            language: As for `encode`.
            **options: Those of the model's own ``encode_document``.
        """
        return self._encode(self.model.encode_document, sentences, language, options)

    def _encode(self, encode: Any, sentences: str | Sequence[str], language: Language, options: dict[str, Any]) -> Any:
        one = isinstance(sentences, str)
        as_tensor, as_numpy = options.pop("convert_to_tensor", False), options.pop("convert_to_numpy", True)
        normalize = options.pop("normalize_embeddings", False)
        if options.get("output_value", "sentence_embedding") != "sentence_embedding":
            raise DebiasError(
                f"output_value={options['output_value']!r}: {self.fitted.method} maps embeddings of texts"
            )
        if options.get("precision", "float32") != "float32":
            raise DebiasError(
                f"precision={options['precision']!r}: {self.fitted.method} maps float32 embeddings; quantize afterwards"
            )
        texts = [sentences] if isinstance(sentences, str) else list(sentences)
        known = self.language if language is None else language
        if isinstance(self.model, AwareTransformer):
            options["language"] = language
        embeddings = encode(texts, convert_to_numpy=not as_tensor, convert_to_tensor=as_tensor, **options)
        mapped = debiased(self.fitted, embeddings, known)
        if normalize and not self.fitted.normalize:
            mapped = _unit_rows(mapped)
        if not as_tensor and not as_numpy:
            import torch

            mapped = list(torch.from_numpy(mapped))
        return mapped[0] if one else mapped


class BeirModel(Protocol):
    """What BEIR's searches ask of a model."""

    def encode_queries(self, queries: list[str], batch_size: int = ..., **options: Any) -> Any:
        """Embed questions."""

    def encode_corpus(self, corpus: Any, batch_size: int = ..., **options: Any) -> Any:
        """Embed passages."""


class TextIn(str):
    """A text that says its language: BEIR hands questions to a model as texts, without their ids.

    Attributes:
        language: Its language.
    """

    __slots__ = ("language",)
    language: str

    def __new__(cls, text: str, language: str) -> Self:
        """Make a text."""
        made = super().__new__(cls, text)
        made.language = language
        return made


def tell(
    documents: Mapping[str, Mapping[str, str]], queries: Mapping[str, str]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Tell the texts of BEIR's dictionaries their languages, by ids such as ``de:7``, for an `AwareRetriever`.

    Args:
        documents: Document id -> {"title", "text"}.
        queries: Query id -> text.

    Returns:
        The same; documents with a third field ``language``, queries as `TextIn`.

    Raises:
        DebiasError: An id does not begin with its language.
    """
    told = {passage_id: {**fields, "language": _language_of(passage_id)} for passage_id, fields in documents.items()}
    return told, {query_id: TextIn(text, _language_of(query_id)) for query_id, text in queries.items()}


def _language_of(text_id: str) -> str:
    language, separator, _ = text_id.partition(":")
    if not separator or not is_tag(language):
        raise DebiasError(f"the id {shown(text_id)!r} does not say the language of its text, as de:7 does")
    return language


class AwareRetriever:
    """A model in BEIR's interface with a map behind it.

    Each question and passage says its language, as `tell` makes them; `beir_hybrid.beir.evaluate` tells it by itself.

    Args:
        model: A model with ``encode_queries`` and ``encode_corpus``, the one that the map was fitted on; it may have a
            map behind it already.
        fitted: The map.
        language: The language of texts that do not say it, or `NEAREST`.

    Examples:
        >>> model = AwareRetriever(models.SentenceBERT("intfloat/multilingual-e5-small"), fitted)
        >>> corpus, queries = tell(corpus, queries)
        >>> EvaluateRetrieval(DenseRetrievalExactSearch(model)).retrieve(corpus, queries)
    """

    def __init__(self, model: BeirModel, fitted: Map, language: str | None = None) -> None:
        check_default(fitted, language)
        self.model, self.fitted, self.language = model, fitted, language

    def encode_queries(self, queries: Sequence[str], batch_size: int = 16, **options: Any) -> Any:
        """Embed n questions and take their language out, shape (n, dimensions).

        Args:
            queries: Texts that say their language, as `tell` makes them.
            batch_size: Texts that are embedded at once.
            **options: Those of the model's own ``encode_queries``.
        """
        languages = self._known([getattr(text, "language", None) for text in queries])
        plain = list(queries) if isinstance(self.model, AwareRetriever) else [str(text) for text in queries]
        embeddings = self.model.encode_queries(plain, batch_size=batch_size, **options)
        return debiased(self.fitted, embeddings, languages)

    def encode_corpus(self, corpus: Any, batch_size: int = 8, **options: Any) -> Any:
        """Embed n passages and take their language out, shape (n, dimensions).

        Args:
            corpus: Dictionaries with ``title``, ``text`` and ``language``, or a dictionary of such columns.
            batch_size: Texts that are embedded at once.
            **options: Those of the model's own ``encode_corpus``.
        """
        if isinstance(corpus, Mapping):
            languages = list(corpus.get("language", [None] * len(corpus["text"])))
        else:
            languages = [
                entry.get("language") if isinstance(entry, Mapping) else getattr(entry, "language", None)
                for entry in corpus
            ]
        embeddings = self.model.encode_corpus(corpus, batch_size=batch_size, **options)
        return debiased(self.fitted, embeddings, self._known(languages))

    def _known(self, languages: list[str | None]) -> Language:
        if self.language == NEAREST:
            return NEAREST
        known = [self.language if language is None else language for language in languages]
        return None if None in known else [language for language in known if language is not None]


def _check_dimensions(fitted: Map, dimensions: int | None) -> None:
    if dimensions is not None and dimensions != fitted.dimensions:
        raise DebiasError(
            f"{fitted.method} was fitted on embeddings of {fitted.dimensions} dimensions, and the model's have "
            f"{dimensions}; fit it on this model"
        )


def check_default(fitted: Map, language: str | None) -> None:
    """Make sure that a map was fitted on the language that a wrapper takes for the texts'.

    Raises:
        DebiasError: It was not.
    """
    if language not in (None, NEAREST, *fitted.languages):
        raise DebiasError(
            f"{fitted.method} was not fitted on the language {shown(language)!r}; give one of "
            f"{', '.join(fitted.languages)}, or {NEAREST!r}"
        )


def _unit_rows(embeddings: Any) -> Any:
    if hasattr(embeddings, "detach"):
        from torch.nn.functional import normalize

        return normalize(embeddings, dim=1)
    return unit_rows(embeddings)
