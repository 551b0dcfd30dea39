"""MTEB's metadata of a corpus's tasks, made from its spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mteb.abstasks.task_metadata import TaskMetadata
from mteb.get_tasks import get_task
from mteb.types import Licenses, StrURL
from pydantic import TypeAdapter, ValidationError

from beir_hybrid.corpora import CorpusSpec
from beir_hybrid.corpora.spec import Origin, TaskFacts
from beir_hybrid.mteb.subset_data import subset_languages

if TYPE_CHECKING:
    from beir_hybrid.mteb.encode import AskedAs

QUESTION_PROMPT = {"query": "Given a question, retrieve the sentences that answer it, in whatever language they are"}
"""What models that follow instructions are told."""


def task_metadata(spec: CorpusSpec) -> TaskMetadata:
    """Describe the retrieval task of a corpus."""
    facts = spec.task
    assert facts is not None, "a corpus without a task"
    if spec.origin is not None:
        return _metadata_of_pool(spec, facts, spec.origin)
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
            "eval_langs": subset_languages(spec.languages, spec.judged_pairs),
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


def _metadata_of_pool(spec: CorpusSpec, facts: TaskFacts, origin: Origin) -> TaskMetadata:
    """Describe the pool of a task of MTEB's own by what is known of that."""
    metadata = get_task(origin.task).metadata
    judged = (
        "A question is judged in its own language only, so that the multilingual subsets measure how far passages in "
        "other languages push the right ones down."
        if spec.judged_in_own_language
        else "Right answers in every language count."
    )
    return metadata.model_copy(
        update={
            "name": facts.name,
            "dataset": {**metadata.dataset, "revision": spec.revision or metadata.dataset["revision"]},
            "description": (
                f"{origin.task} of MTEB on the pool of all its {len(spec.languages)} languages: {metadata.description} "
                f"{judged}"
            ),
            "eval_splits": [origin.split],
            "eval_langs": subset_languages(spec.languages, spec.judged_pairs),
            "main_score": spec.metrics[0],
            "adapted_from": list(spec.adapted_from),
            "superseded_by": None,
        }
    )


def asked_as(origin: Origin | None) -> AskedAs | None:
    """Return as which task of MTEB's own a model is asked for the embeddings of a pool; None where it has no origin."""
    from beir_hybrid.mteb.encode import AskedAs

    return None if origin is None else AskedAs(get_task(origin.task).metadata, origin.split, origin.subsets)
