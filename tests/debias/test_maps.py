"""The maps against their definitions, and against the package of LEACE's authors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import fractional_matrix_power

from beir_hybrid.debias.maps import (
    METHODS,
    SMALLEST_EIGENVALUE,
    Centring,
    DebiasError,
    Leace,
    Lir,
    Map,
    Projection,
    nearest_language,
    unit_rows,
)

DIMENSIONS = 12


def embeddings(seed: int = 0, sizes: tuple[int, ...] = (40, 60, 50), normalised: bool = True) -> dict[str, np.ndarray]:
    """Return random embeddings of languages, each shifted by a vector of its own."""
    random = np.random.default_rng(seed)
    spread = random.uniform(0.3, 1.5, DIMENSIONS)
    parts = {}
    for language, size in zip(("de", "en", "th", "zh"), sizes, strict=False):
        rows = random.normal(size=(size, DIMENSIONS)) * spread + 1.5 * random.normal(size=DIMENSIONS)
        parts[language] = unit_rows(rows) if normalised else rows
    return parts


def one_hot(parts: dict[str, np.ndarray]) -> np.ndarray:
    """Return the languages of all rows, a column each."""
    return np.repeat(np.eye(len(parts)), [len(part) for part in parts.values()], axis=0)


def test_projection_is_the_residual_of_least_squares_on_the_means() -> None:
    parts = embeddings()
    means = np.stack([part.mean(axis=0) for part in parts.values()])
    basis = (means - means.mean(axis=0)).T
    for language, part in parts.items():
        residual = part.T - basis @ np.linalg.lstsq(basis, part.T, rcond=None)[0]
        np.testing.assert_allclose(Projection.fit(parts).transform(part, language), unit_rows(residual.T), atol=1e-12)


def test_fewer_components_take_out_those_in_which_the_means_differ_most() -> None:
    parts = embeddings(normalised=False)
    means = np.stack([part.mean(axis=0) for part in parts.values()])
    values, axes = np.linalg.eigh(np.cov(means.T))
    first = axes[:, [values.argmax()]]
    expected = np.eye(DIMENSIONS) - first @ first.T
    np.testing.assert_allclose(Projection.fit(parts, components=1).matrix, expected, atol=1e-9)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("sizes", [(40, 60, 50), (30, 300, 200, 31)])
def test_leace_is_that_of_the_package_of_its_authors(sizes: tuple[int, ...], affine: bool) -> None:
    from concept_erasure import LeaceEraser

    parts = embeddings(sizes=sizes, normalised=False)
    rows = torch.from_numpy(np.concatenate(list(parts.values())))
    eraser = LeaceEraser.fit(
        rows, torch.from_numpy(one_hot(parts)), shrinkage=False, constrain_cov_trace=False, svd_tol=1e-9, affine=affine
    )
    np.testing.assert_allclose(Leace.fit(parts, affine=affine).transform(rows.numpy()), eraser(rows).numpy(), atol=1e-9)


@pytest.mark.parametrize("flat", [0, 3])
def test_leace_follows_its_definition(flat: int) -> None:
    parts = embeddings(normalised=False)
    if flat:  # directions of nearly no variance, which are cut off
        parts = {
            language: part * np.r_[np.ones(DIMENSIONS - flat), np.full(flat, 1e-4)] for language, part in parts.items()
        }
    rows, languages = np.concatenate(list(parts.values())), one_hot(parts)
    mean, covariance = rows.mean(axis=0), np.cov(rows.T, bias=True)
    values, axes = np.linalg.eigh(covariance)
    kept = axes[:, values > SMALLEST_EIGENVALUE * values.max()]
    assert kept.shape[1] == DIMENSIONS - flat
    cross = (rows - mean).T @ (languages - languages.mean(axis=0)) / len(rows)
    whitening = kept @ fractional_matrix_power(kept.T @ covariance @ kept, -0.5) @ kept.T
    left = np.linalg.pinv(whitening, rcond=1e-6)
    span = whitening @ cross
    matrix = left @ span @ np.linalg.pinv(span, rcond=1e-6) @ whitening
    np.testing.assert_allclose(Leace.fit(parts).transform(rows), rows - rows @ matrix.T, atol=1e-8)
    kept_mean = Leace.fit(parts, affine=True).transform(rows)
    np.testing.assert_allclose(kept_mean, rows - (rows - mean) @ matrix.T, atol=1e-8)
    np.testing.assert_allclose(kept_mean.mean(axis=0), mean, atol=1e-8)


@given(st.integers(0, 10**6), st.integers(2, 4), st.booleans())
@settings(max_examples=30, deadline=None)
def test_after_projection_leace_and_centring_all_languages_have_one_mean(seed: int, number: int, equal: bool) -> None:
    parts = embeddings(seed, (30,) * number if equal else (20, 33, 47, 61)[:number], normalised=False)
    for kind in (Projection, Leace, Centring):
        fitted = kind.fit(parts)
        means = np.stack([fitted.transform(part, language).mean(axis=0) for language, part in parts.items()])
        np.testing.assert_allclose(means, np.broadcast_to(means[0], means.shape), atol=1e-9)


def test_centring_subtracts_the_mean_of_the_language() -> None:
    parts = embeddings()
    fitted = Centring.fit(parts)
    other = embeddings(seed=1)["th"]
    np.testing.assert_allclose(fitted.transform(other, "th"), unit_rows(other - parts["th"].mean(axis=0)), atol=1e-12)


@pytest.mark.parametrize("components", [None, 1, 3])
def test_lir_takes_out_the_first_components_of_each_language(components: int | None) -> None:
    parts = embeddings()
    fitted = Lir.fit(parts, components)
    for language, part in parts.items():
        values, axes = np.linalg.eigh(part.T @ part)  # not centred
        first = axes[:, np.argsort(-values)[: components or 1]]
        np.testing.assert_allclose(
            fitted.transform(part, language), unit_rows(part - part @ first @ first.T), atol=1e-9
        )


@pytest.mark.parametrize("kind", METHODS.values())
def test_lengths_and_types_stay(kind: type[Map]) -> None:
    for normalised in (True, False):
        parts = {language: part.astype(np.float32) for language, part in embeddings(normalised=normalised).items()}
        fitted = kind.fit(parts)
        mapped = fitted.transform(parts["en"], "en")
        assert fitted.normalize is normalised and mapped.dtype == np.float32
        assert np.allclose(np.linalg.norm(mapped, axis=1), 1, atol=1e-5) is normalised
        assert fitted.transform(parts["en"].astype(np.float16), "en").dtype == np.float32
        assert not fitted.transform(np.zeros((0, DIMENSIONS)), "en").size


def test_a_row_of_zeros_stays_one() -> None:
    assert not unit_rows(np.zeros((2, 3))).any()


def test_the_nearest_mean_is_that_of_the_smallest_distance() -> None:
    parts = embeddings()
    means = {language: part.mean(axis=0) for language, part in parts.items()}
    rows = np.concatenate(list(parts.values()))
    expected = [min(means, key=lambda language: np.linalg.norm(row - means[language])) for row in rows]
    assert nearest_language(rows, means) == expected
    assert len(set(expected)) == len(parts)


BAD = embeddings()
NOT_FINITE = {**BAD, "th": np.where(np.arange(DIMENSIONS) == 1, np.nan, BAD["th"])}


@pytest.mark.parametrize("kind", METHODS.values())
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "two languages or more to tell apart, and there is none"),
        ({"de": BAD["de"]}, "two languages or more to tell apart, and there is de"),
        ({**BAD, "th": BAD["th"][:1]}, "th has 1 sentences; at least 2 are needed"),
        ({**BAD, "th": BAD["th"][:0]}, "th has 0 sentences; at least 2 are needed"),
        (NOT_FINITE, "th: embeddings are not finite"),
        ({**BAD, "th": BAD["th"][:, :5]}, "embeddings of de have 12 dimensions, those of th 5"),
        ({**BAD, "th": BAD["th"][0]}, r"th: embeddings of shape \(12,\), not \(sentences, dimensions\)"),
    ],
)
def test_embeddings_that_no_map_can_be_fitted_on(kind: type[Map], parts: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DebiasError, match=message) as error:
        kind.fit(parts)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "components", "message"),
    [
        (Projection, 0, "0 components: at least 1"),
        (Projection, 3, "3 components: the means of 3 languages differ in 2 directions, so at most 2"),
        (Projection, DIMENSIONS, "12 components of 12 dimensions: nothing would be left"),
        (Lir, -1, "-1 components: at least 1"),
        (Lir, 99, "99 components of 12 dimensions: nothing would be left"),
        (Leace, 2, "leace has no number of components to choose"),
        (Centring, 2, "centring has no number of components to choose"),
    ],
)
def test_numbers_of_components_that_cannot_be(kind: type[Map], components: int, message: str) -> None:
    with pytest.raises(DebiasError, match=message):
        kind.fit(embeddings(), components)


def test_more_languages_than_dimensions_leave_nothing() -> None:
    parts = {f"l{number}": part for number in range(20) for part in [embeddings(number)["de"][:, :4]]}
    with pytest.raises(DebiasError, match="4 components of 4 dimensions: nothing would be left; choose fewer"):
        Projection.fit(parts)
    assert np.linalg.matrix_rank(Projection.fit(parts, 2).matrix) == 2


def test_few_sentences_have_few_components() -> None:
    with pytest.raises(DebiasError, match="5 components: the 3 sentences of de have 3, so at most 3"):
        Lir.fit(embeddings(sizes=(3, 3)), 5)


@pytest.mark.parametrize("kind", [Projection, Leace])
def test_languages_that_do_not_differ_are_refused(kind: type[Map]) -> None:
    same = np.ones((5, 4))
    with pytest.raises(DebiasError, match="the same: there is nothing to take out"):
        kind.fit({"de": same, "en": same})


@pytest.mark.parametrize("kind", [Centring, Lir])
def test_the_language_is_never_guessed(kind: type[Map]) -> None:
    parts = embeddings()
    fitted = kind.fit(parts)
    assert fitted.needs_language
    with pytest.raises(DebiasError, match=f"{kind.method} needs the language of the texts"):
        fitted.transform(parts["de"])
    with pytest.raises(DebiasError, match=f"{kind.method} was not fitted on the language 'fr'; it knows de, en, th"):
        fitted.transform(parts["de"], "fr")


@pytest.mark.parametrize("kind", METHODS.values())
def test_other_dimensions_than_those_of_the_fit_are_refused(kind: type[Map]) -> None:
    with pytest.raises(DebiasError, match=r"fitted on embeddings of 12 dimensions, .* shape \(3, 5\)"):
        kind.fit(embeddings()).transform(np.ones((3, 5)), "de")
