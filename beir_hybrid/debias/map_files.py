"""Fitted maps in a file: safetensors, whose metadata say which map it is, so that nothing in it can run code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from beir_hybrid.debias.maps import METHODS, AffineMap, Array, DebiasError, LanguageMap, Map
from beir_hybrid.errors import DataError, one_line
from beir_hybrid.files import atomic_path, check_regular, shown
from beir_hybrid.languages import parse

FORMAT_VERSION = 1
_KEY = "beir_hybrid.debias"


def write_map(path: Path, fitted: Map) -> None:
    """Write a fitted map; a killed process leaves the old file or the new one.

    Args:
        path: The file, of safetensors.
        fitted: The map.

    Raises:
        BeirHybridError: The file cannot be written.
    """
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(array) for name, array in _arrays(fitted).items()}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, {_KEY: _described(fitted)})


def read_map(path: Path) -> Map:
    """Read a map that `write_map` wrote.

    Args:
        path: The file; nothing in it is run as code.

    Returns:
        The map.

    Raises:
        DebiasError: The file is missing, damaged, of a newer version, or not a map.
    """
    from safetensors import SafetensorError, safe_open

    check_regular(path, DebiasError, largest=None)
    try:
        with safe_open(path, framework="np") as file:
            facts = json.loads((file.metadata() or {})[_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        version = facts["format_version"]
        if version == FORMAT_VERSION:
            return _from(facts, arrays)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError, DataError) as error:
        raise DebiasError(f"{shown(path)} is damaged or not a map of beir-hybrid: {one_line(error)}") from error
    raise DebiasError(f"{shown(path)} has format {shown(version)}; this version reads {FORMAT_VERSION}")


def digest_of(fitted: Map) -> str:
    """Return a hash of all that a map computes with: 64 hexadecimal digits."""
    total = hashlib.sha256(_described(fitted).encode())
    for name, array in sorted(_arrays(fitted).items()):
        total.update(f"{name} {array.dtype.name} {array.shape}\0".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _described(fitted: Map) -> str:
    facts = {
        "format_version": FORMAT_VERSION,
        "method": fitted.method,
        "normalize": fitted.normalize,
        "languages": list(fitted.languages),
    }
    return json.dumps(facts, sort_keys=True)


def _arrays(fitted: Map) -> dict[str, Array]:
    if isinstance(fitted, AffineMap):
        shift = {} if fitted.shift is None else {"shift": fitted.shift}
        return {"matrix": fitted.matrix, **shift}
    assert isinstance(fitted, LanguageMap), "there are two kinds of maps"
    means = {f"mean {language}": mean for language, mean in fitted.means.items()}
    return means | {f"directions {language}": directions for language, directions in fitted.directions.items()}


def _from(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Map:
    """Make the map of a file's facts and arrays; a ValueError where they cannot be those of one."""
    kind, languages = METHODS[facts["method"]], tuple(facts["languages"])
    for language in languages:
        parse(language)
    if not languages or not isinstance(facts["normalize"], bool):
        raise ValueError("it names no languages, or does not say whether embeddings are normalised")
    if any(array.dtype.kind != "f" or not np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("its numbers are not finite")
    if issubclass(kind, AffineMap):
        matrix, shift = arrays["matrix"], arrays.get("shift")
        _check_shapes(matrix.shape == (len(matrix), len(matrix)))
        _check_shapes(shift is None or shift.shape == (len(matrix),))
        return kind(facts["normalize"], languages, matrix, shift)
    assert issubclass(kind, LanguageMap), "there are two kinds of maps"
    means = {language: arrays[f"mean {language}"] for language in languages}
    directions = {language: arrays[name] for language in languages if (name := f"directions {language}") in arrays}
    (size,) = means[languages[0]].shape
    _check_shapes(all(mean.shape == (size,) for mean in means.values()))
    _check_shapes(all(some.ndim == 2 and some.shape[1] == size for some in directions.values()))
    _check_shapes(len(directions) == (len(languages) if kind.takes_components else 0))
    return kind(facts["normalize"], languages, means, directions)


def _check_shapes(fit: bool) -> None:
    if not fit:
        raise ValueError("the shapes of its arrays do not fit")
