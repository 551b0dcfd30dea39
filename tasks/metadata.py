"""MTEB's metadata of a corpus's tasks, made from its spec."""

from __future__ import annotations

from mteb.abstasks.task_metadata import TaskMetadata
from mteb.types import Licenses, StrURL
from pydantic import TypeAdapter, ValidationError

from beir_hybrid.corpora import CorpusSpec
from beir_hybrid.mteb.subset_data import subset_languages

QUESTION_PROMPT = {"query": "Given a question, retrieve the sentences that answer it, in whatever language they are"}
"""What models that follow instructions are told."""


def task_metadata(spec: CorpusSpec) -> TaskMetadata:
    """Describe the retrieval task of a corpus."""
    facts = spec.task
    assert facts is not None, "a corpus without a task"
    return TaskMetadata.model_validate(
        {
            "name": facts.name,
            "dataset": {"path": facts.path, "revision": spec.revision},
            "description": facts.description,
            "reference": facts.reference or None,
            "type": "Retrieval",
            "category": "t2t",
            "modalities": ["text"],
            "eval_splits": ["test"],
            "eval_langs": subset_languages(spec.languages),
            "main_score": spec.metrics[0],
            "date": facts.date,
            "domains": list(facts.domains),
            "task_subtypes": ["Question answering"],
            "license": _licence(facts.license or spec.licence),
            "annotations_creators": facts.annotations_creators or None,
            "dialect": [],
            "sample_creation": facts.sample_creation or None,
            "prompt": QUESTION_PROMPT,
            "adapted_from": list(spec.adapted_from) or None,
            "bibtex_citation": spec.citation,
        }
    )


def _licence(name: str) -> str:
    """Return a licence as MTEB writes it; users have licences that it has no word for."""
    try:
        TypeAdapter(Licenses | StrURL).validate_python(name)
    except ValidationError:
        return "not specified"
    return name
