"""Pools of MTEB's own tasks, evaluated: their scores beside those of MTEB's tasks, and what encoders are told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mteb
import pytest

from beir_hybrid.corpora import CorpusSpec, spec_of_source
from beir_hybrid.corpora.mteb_pools.origin_tasks import ready_to_read
from beir_hybrid.subsets import Subset
from beir_hybrid.tasks import tasks_of
from tests.support.mteb_models import CountingEncoder
from tests.support.small_origins import write_monolingual

Scores = Mapping[str, Mapping[str, Any]]
"""Subset -> key -> score."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of copies of repositories of the hub."""
    monkeypatch.setenv("BEIR_HYBRID_HUB", str(tmp_path / "hub"))
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    return tmp_path / "hub"


def scores_of(spec: CorpusSpec, model: Any) -> Scores:
    """Evaluate a model on the retrieval task of a pool."""
    result = mteb.evaluate(model, tasks_of(spec)[0](), cache=None, show_progress_bar=False)
    assert spec.origin is not None
    return {entry["hf_subset"]: entry for entry in result.task_results[0].scores[spec.origin.split]}


def scores_of_origin(spec: CorpusSpec, model: Any) -> Scores:
    """Evaluate a model on the monolingual subsets of MTEB's own task, language -> key -> score."""
    origin = spec.origin
    assert origin is not None
    task = ready_to_read(origin.task, origin.subsets.values(), origin.split)
    scores = task.evaluate(model, origin.split, encode_kwargs={"show_progress_bar": False})
    return {language: scores[subset] for language, subset in origin.subsets.items()}


def assert_same_as_origin(spec: CorpusSpec, model: Any) -> None:
    """Compare all monolingual scores with MTEB's own, which has five decimals."""
    ours = scores_of(spec, model)
    for language, scores in scores_of_origin(spec, model).items():
        found = ours[str(Subset(language, language))]
        compared = {key: value for key, value in scores.items() if isinstance(value, float)}
        assert len(compared) > 100
        for key, value in compared.items():
            rounded = round(found[key], 5)
            assert rounded == round(value, 5) or (math.isnan(rounded) and math.isnan(value)), (language, key)


@pytest.mark.parametrize("task", ["MultilingualNanoNFCorpusRetrieval", "MintakaRetrieval", "MKQARetrieval"])
def test_the_monolingual_scores_are_those_of_mteb(hub: Path, task: str) -> None:
    write_monolingual(hub, task)
    assert_same_as_origin(spec_of_source(f"mteb:{task}"), CountingEncoder())
