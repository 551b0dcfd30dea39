"""Fitted maps written and read again; and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from beir_hybrid.debias.map_files import digest_of, read_map, write_map
from beir_hybrid.debias.maps import METHODS, Centring, DebiasError, Lir, Projection
from tests.debias.test_maps import embeddings


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("normalised", [True, False])
def test_a_map_that_is_read_again_is_the_same(method: str, normalised: bool, tmp_path: Path) -> None:
    parts = embeddings(normalised=normalised)
    fitted = METHODS[method].fit(parts)
    write_map(tmp_path / "map", fitted)
    read = read_map(tmp_path / "map")
    assert type(read) is type(fitted)
    assert (read.normalize, read.languages) == (fitted.normalize, fitted.languages)
    assert digest_of(read) == digest_of(fitted)
    for language, part in parts.items():
        np.testing.assert_array_equal(read.transform(part, language), fitted.transform(part, language))


def test_different_maps_have_different_digests() -> None:
    parts, others = embeddings(0), embeddings(1)
    maps = [kind.fit(some) for kind in METHODS.values() for some in (parts, others)]
    maps += [Lir.fit(parts, components=2), Projection.fit(parts, components=1), Centring.fit(embeddings(0, (40, 60)))]
    assert len({digest_of(fitted) for fitted in maps}) == len(maps)


def facts(**changed: object) -> dict[str, str]:
    known = {"format_version": 1, "method": "centring", "normalize": True, "languages": ["de", "en"]}
    return {"beir_hybrid.debias": json.dumps({**known, **changed})}


MEANS = {"mean de": np.zeros(3), "mean en": np.ones(3)}


@pytest.mark.parametrize(
    ("arrays", "metadata", "says"),
    [
        (MEANS, {}, "is damaged or not a map of beir-hybrid"),
        (MEANS, facts(format_version=2), "has format 2; this version reads 1"),
        (MEANS, facts(method="magic"), "is damaged or not a map"),
        (MEANS, facts(languages=["de", "../en"]), "is not a language tag"),
        (MEANS, facts(languages=["de", "fr"]), "is damaged or not a map"),
        (MEANS, facts(normalize="yes"), "does not say whether embeddings are normalised"),
        ({**MEANS, "mean en": np.ones(4)}, facts(), "the shapes of its arrays do not fit"),
        ({**MEANS, "mean en": np.array([0, np.nan, 0])}, facts(), "its numbers are not finite"),
        (MEANS, facts(method="lir"), "the shapes of its arrays do not fit"),
        ({"matrix": np.ones((2, 3))}, facts(method="projection"), "the shapes of its arrays do not fit"),
    ],
)
def test_a_file_that_is_no_map_is_one_line(
    arrays: dict[str, np.ndarray], metadata: dict[str, str], says: str, tmp_path: Path
) -> None:
    save_file(arrays, tmp_path / "map", metadata)
    with pytest.raises(DebiasError, match=says) as caught:
        read_map(tmp_path / "map")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_cut_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DebiasError, match="map"):
        read_map(tmp_path / "map")
    write_map(tmp_path / "map", Centring.fit(embeddings()))
    (tmp_path / "map").write_bytes((tmp_path / "map").read_bytes()[:-9])
    with pytest.raises(DebiasError, match="is damaged or not a map"):
        read_map(tmp_path / "map")
