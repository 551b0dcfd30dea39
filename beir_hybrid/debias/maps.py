"""The four maps, on embeddings: projection and LEACE, one affine map for all texts; centring and LIR, one a language.

Texts of all languages that mean the same lie near each other in the space of a multilingual encoder, but each language
is shifted by a vector of its own, and that shift decides a pool of mixed languages. All four maps are fitted on
embeddings of some sentences of each language; the sentences need not be translations of each other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import shown

Array = NDArray[np.floating[Any]]
Embeddings = Mapping[str, Array]
"""Language -> embeddings of its sentences, shape (sentences, dimensions)."""

_LEAST = 2
"""Sentences of a language without which it has no spread."""

SMALLEST_EIGENVALUE = 1e-4
"""LEACE leaves directions alone whose variance is a smaller part of the largest: their inverse would be noise."""

_ROUNDING = 1e-6
"""Singular values that are a smaller part of the scale of what they are of are zero but for rounding in float32."""

_UNIT = 1e-3
"""How far the lengths of normalised embeddings are from 1, half precision included."""


class DebiasError(BeirHybridError):
    """A map cannot be fitted or used: the embeddings, the languages or the number of components do not allow it."""


@dataclass(frozen=True, eq=False)
class Map(ABC):
    """What takes the language out of embeddings.

    Attributes:
        normalize: Whether the embeddings it was fitted on have length 1; what it returns then has, too.
        languages: The languages it was fitted on.
    """

    normalize: bool
    languages: tuple[str, ...]

    method: ClassVar[str]
    """What a user calls it."""
    needs_language: ClassVar[bool]
    """Whether the language of a text must be known, at query time, too."""
    takes_components: ClassVar[bool] = True
    """Whether a number of components can be chosen."""

    @classmethod
    def fit(cls, embeddings: Embeddings, components: int | None = None) -> Self:
        """Fit the map; those of `METHODS` can be.

        Args:
            embeddings: Language -> embeddings of sentences, shape (sentences, dimensions), made with the prompt of
                passages. Languages may have different numbers of sentences.
            components: Directions to take out; by default what the method says.

        Raises:
            DebiasError: There are fewer than two languages or sentences, values that are not finite, embeddings of
                different dimensions, or more components than can be taken out.
        """
        raise NotImplementedError(f"{cls.__name__} is not fitted")

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """Size of an embedding."""

    @abstractmethod
    def _map(self, embeddings: Array, language: str | None) -> Array:
        """Map embeddings of one language, without normalising them."""

    def transform(self, embeddings: Array, language: str | None = None) -> Array:
        """Take the language out of embeddings.

        Args:
            embeddings: Shape (n, dimensions).
            language: The language of all of them; only `needs_language` maps ask for it.

        Returns:
            Shape (n, dimensions); rows of length 1 if the map was fitted on such.

        Raises:
            DebiasError: The dimensions are others than those of the fit, or the language is needed and not given, or
                not one of the fit's.
        """
        embeddings = np.asarray(embeddings)
        if embeddings.ndim != 2 or embeddings.shape[1] != self.dimensions:
            raise DebiasError(
                f"{self.method} was fitted on embeddings of {self.dimensions} dimensions, and is given an array of "
                f"shape {embeddings.shape}"
            )
        mapped = self._map(embeddings.astype(np.result_type(embeddings, np.float32), copy=False), language)
        return unit_rows(mapped) if self.normalize else mapped


@dataclass(frozen=True, eq=False)
class AffineMap(Map):
    """A map that is the same for all texts: ``x -> x @ matrix + shift``. A Dense layer holds it.

    Attributes:
        matrix: Shape (dimensions, dimensions).
        shift: Shape (dimensions,); None where there is none.
    """

    matrix: Array
    shift: Array | None = None

    method = "a linear layer"
    needs_language = False

    @property
    def dimensions(self) -> int:
        """Size of an embedding."""
        return len(self.matrix)

    @property
    def components(self) -> int:
        """Number of directions that are taken out."""
        return int(np.linalg.matrix_rank(np.eye(self.dimensions) - self.matrix, tol=_ROUNDING))

    def _map(self, embeddings: Array, language: str | None) -> Array:
        mapped = embeddings @ self.matrix.astype(embeddings.dtype)
        return mapped if self.shift is None else mapped + self.shift.astype(embeddings.dtype)


class Projection(AffineMap):
    """Takes out the directions in which the means of the languages differ (LSAR, arXiv 2401.05792).

    With the matrix of the L means, less the mean of these means, and its right singular vectors V, the map is
    ``x -> x - x V^T V``. By default V has all directions, L - 1 unless means depend on each other.
    """

    method = "projection"

    @classmethod
    def fit(cls, embeddings: Embeddings, components: int | None = None) -> Self:
        """Fit the map; see `Map.fit`."""
        checked = _checked(embeddings)
        means = np.stack([part.mean(axis=0) for part in checked.values()])
        _, strengths, directions = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
        rank = _rank(strengths, _scale(checked))
        if rank == 0:
            raise DebiasError("the means of all languages are the same: there is nothing to take out")
        known = f"the means of {len(means)} languages differ in {rank} directions"
        chosen = directions[: _components(components, rank, means.shape[1], known)]
        return cls(_normalised(checked), tuple(checked), np.eye(means.shape[1]) - chosen.T @ chosen)


class Leace(AffineMap):
    """The smallest change after which no linear classifier finds the language (LEACE, arXiv 2306.03819, theorem 4.3).

    With the covariance S of the embeddings, of all languages together, W = S^(-1/2) and the cross-covariance C of
    embeddings and languages, one column a language, the map is ``x -> x - W^+ P W x``, where P projects onto the
    columns of W C. Eigenvalues of S below `SMALLEST_EIGENVALUE` of the largest are taken for zero.
    """

    method = "leace"
    takes_components = False

    @classmethod
    def fit(cls, embeddings: Embeddings, components: int | None = None, affine: bool = False) -> Self:
        """Fit the map; see `Map.fit`. The number of directions follows from the languages.

        Args:
            embeddings: As for `Map.fit`.
            components: None.
            affine: Whether the mean of all embeddings is kept, ``x -> x - W^+ P W (x - mean)``, as in the theorem. The
                language cannot be found either way.
        """
        _no_components(cls, components)
        checked = _checked(embeddings)
        rows = np.concatenate(list(checked.values()))
        mean = rows.mean(axis=0)
        covariance = (rows - mean).T @ (rows - mean) / len(rows)
        # Column l of the cross-covariance with one-hot languages: share of the language, times the shift of its mean.
        shifts = [len(part) / len(rows) * (part.mean(axis=0) - mean) for part in checked.values()]
        variances, axes = np.linalg.eigh(covariance)
        if not _rank(np.sqrt(variances[-1:]), _scale(checked)):
            raise DebiasError("all embeddings are the same: there is nothing to take out")
        kept = variances > SMALLEST_EIGENVALUE * variances[-1]
        axes, deviations = axes[:, kept], np.sqrt(variances[kept])
        white = np.stack(shifts) @ axes / deviations
        _, strengths, directions = np.linalg.svd(white, full_matrices=False)
        chosen = directions[: _rank(strengths, 1)]
        matrix = np.eye(len(mean)) - (axes / deviations) @ chosen.T @ chosen @ (deviations[:, None] * axes.T)
        return cls(_normalised(checked), tuple(checked), matrix, mean - mean @ matrix if affine else None)


@dataclass(frozen=True, eq=False)
class LanguageMap(Map):
    """A map for each language: a text's language must be known.

    Attributes:
        means: Language -> mean of its embeddings, shape (dimensions,).
        directions: Language -> orthonormal directions that are taken out of its embeddings, shape (k, dimensions).
    """

    means: Mapping[str, Array]
    directions: Mapping[str, Array]

    needs_language = True

    @property
    def dimensions(self) -> int:
        """Size of an embedding."""
        return len(self.means[self.languages[0]])

    def _map(self, embeddings: Array, language: str | None) -> Array:
        if language is None:
            raise DebiasError(f"{self.method} needs the language of the texts; give it")
        if language not in self.means:
            known = ", ".join(self.languages)
            raise DebiasError(f"{self.method} was not fitted on the language {shown(language)!r}; it knows {known}")
        return self._map_language(embeddings, language)

    @abstractmethod
    def _map_language(self, embeddings: Array, language: str) -> Array: ...


class Centring(LanguageMap):
    """Subtracts the mean of a text's language (arXiv 2109.04727 among others), of passages also from questions."""

    method = "centring"
    takes_components = False

    @classmethod
    def fit(cls, embeddings: Embeddings, components: int | None = None) -> Self:
        """Fit the map; see `Map.fit`. There are no components to choose."""
        _no_components(cls, components)
        checked = _checked(embeddings)
        means = {language: part.mean(axis=0) for language, part in checked.items()}
        return cls(_normalised(checked), tuple(checked), means, {})

    def _map_language(self, embeddings: Array, language: str) -> Array:
        return embeddings - self.means[language].astype(embeddings.dtype)


class Lir(LanguageMap):
    """Takes the first right singular vectors of a language's embeddings out of them (LIR, arXiv 2109.04727).

    The embeddings are not centred first: with one component, the default, what goes is nearly the direction of their
    mean.
    """

    method = "lir"

    @classmethod
    def fit(cls, embeddings: Embeddings, components: int | None = None) -> Self:
        """Fit the map; see `Map.fit`. The components are those of a language; one by default."""
        checked, directions = _checked(embeddings), {}
        for language, part in checked.items():
            _, strengths, axes = np.linalg.svd(part, full_matrices=False)
            rank, wanted = _rank(strengths, strengths[0]), 1 if components is None else components
            known = f"the {len(part)} sentences of {shown(language)} have {rank}"
            directions[language] = axes[: _components(wanted, rank, part.shape[1], known)]
        means = {language: part.mean(axis=0) for language, part in checked.items()}
        return cls(_normalised(checked), tuple(checked), means, directions)

    def _map_language(self, embeddings: Array, language: str) -> Array:
        directions = self.directions[language].astype(embeddings.dtype)
        return embeddings - embeddings @ directions.T @ directions


METHODS: Mapping[str, type[Map]] = {kind.method: kind for kind in (Projection, Leace, Centring, Lir)}
"""Name of a method -> its map."""


def unit_rows(embeddings: Array) -> Array:
    """Return embeddings with rows of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.maximum(lengths, np.finfo(embeddings.dtype).tiny)


def nearest_language(embeddings: Array, means: Mapping[str, Array]) -> list[str]:
    """Read the language of texts off their embeddings: that of the nearest mean.

    Args:
        embeddings: Shape (n, dimensions).
        means: Language -> mean of its embeddings, shape (dimensions,).

    Returns:
        A language for each row; of means that are equally near the first.
    """
    languages, centres = list(means), np.stack(list(means.values()))
    # |x - m|^2 without the part |x|^2, which is the same for all means.
    distances = (centres**2).sum(axis=1) - 2 * np.asarray(embeddings) @ centres.T
    return [languages[number] for number in distances.argmin(axis=1)]


def _checked(embeddings: Embeddings) -> dict[str, Array]:
    """Return the embeddings in double precision; refuse those that no map can be fitted on."""
    if len(embeddings) < 2:
        raise DebiasError(f"there must be two languages or more to tell apart, and there is {_listed(embeddings)}")
    checked: dict[str, Array] = {language: np.asarray(part, np.float64) for language, part in embeddings.items()}
    dimensions: dict[int, str] = {}
    for language, part in checked.items():
        if part.ndim != 2 or part.shape[1] == 0:
            raise DebiasError(f"{shown(language)}: embeddings of shape {part.shape}, not (sentences, dimensions)")
        if len(part) < _LEAST:
            raise DebiasError(f"{shown(language)} has {len(part)} sentences; at least {_LEAST} are needed")
        if not np.isfinite(part).all():
            raise DebiasError(f"{shown(language)}: embeddings are not finite")
        dimensions.setdefault(part.shape[1], language)
    if len(dimensions) > 1:
        (first, language), (other, another) = list(dimensions.items())[:2]
        raise DebiasError(f"embeddings of {shown(language)} have {first} dimensions, those of {shown(another)} {other}")
    return checked


def _listed(embeddings: Embeddings) -> str:
    return ", ".join(map(shown, embeddings)) or "none"


def _components(wanted: int | None, rank: int, dimensions: int, known: str) -> int:
    """Return the number of components, refused where there are not so many, or where nothing would be left."""
    number = rank if wanted is None else wanted
    if number < 1:
        raise DebiasError(f"{number} components: at least 1 is needed")
    if number >= dimensions:
        raise DebiasError(
            f"{number} components of {dimensions} dimensions: nothing would be left; choose fewer components"
        )
    if number > rank:
        raise DebiasError(f"{number} components: {known}, so at most {rank} can be taken out")
    return number


def _no_components(kind: type[Map], components: int | None) -> None:
    if components is not None:
        raise DebiasError(f"{kind.method} has no number of components to choose; leave it out")


def _rank(strengths: Array, scale: float) -> int:
    """Return how many singular values are not zero but for rounding."""
    return int((strengths > _ROUNDING * scale).sum())


def _scale(embeddings: Embeddings) -> float:
    """Return the largest length of an embedding."""
    return max(float(np.linalg.norm(part, axis=1).max()) for part in embeddings.values())


def _normalised(embeddings: Embeddings) -> bool:
    return all(np.allclose(np.linalg.norm(part, axis=1), 1, rtol=0, atol=_UNIT) for part in embeddings.values())
