"""Corpora whose published files are others for the time of a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from beir_hybrid.corpora import CorpusSpec, registry, spec_of


def publish(monkeypatch: pytest.MonkeyPatch, name: str, **files: Any) -> CorpusSpec:
    """Give the files of a corpus other addresses or checksums; its languages are those of the files."""
    spec = spec_of(name)
    assert spec.files is not None
    changed = replace(spec, languages=(), files=replace(spec.files, **files))
    monkeypatch.setitem(registry._SPECS, name, changed)
    return changed
