"""Retrieval tasks of MTEB's own as pools of all their languages: ``mteb:TASK``.

The task's own loader reads its data. What it does not say, which texts are translations of each other and which side
of a pair is the question, an adapter of its layout knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from beir_hybrid.corpora.mteb_pools import layouts
from beir_hybrid.corpora.mteb_pools.belebele import read_belebele
from beir_hybrid.corpora.mteb_pools.language_pairs import read_pairs
from beir_hybrid.corpora.mteb_pools.monolingual import read_monolingual
from beir_hybrid.corpora.mteb_pools.origin_tasks import origin_task, repository_of
from beir_hybrid.corpora.parallel import ParallelCorpus
from beir_hybrid.corpora.spec import CorpusSpec, Origin, TaskFacts
from beir_hybrid.metrics import MAP, find_metric

__all__ = ["read", "revision_of", "spec_of_mteb"]


def spec_of_mteb(task: str) -> CorpusSpec:
    """Return the spec of the pool of all languages of a retrieval task of MTEB's own; always the same one.

    Args:
        task: Its name. The first of its splits is read.

    Raises:
        DataError: There is no such task, or no pool can be made of it.
    """
    return _spec(task, repository_of(origin_task(task)).exact_revision)


@cache
def _spec(task: str, revision: str) -> CorpusSpec:
    metadata = origin_task(task).metadata
    layout = layouts.layout_of(task, metadata.hf_subsets_to_langscripts)
    main_score = [metadata.main_score] if find_metric(metadata.main_score) else []
    return CorpusSpec(
        name=task,
        title=task,
        licence=metadata.license or "not specified",
        languages=layout.languages,
        revision=revision,
        citation=metadata.bibtex_citation or "",
        read=read,
        task=TaskFacts(f"{task}CL", path=metadata.dataset["path"]),
        adapted_from=(task,),
        metrics=tuple(dict.fromkeys([*main_score, MAP.name])),
        judged_in_own_language=layout.adapter == layouts.OWN_LANGUAGE,
        origin=Origin(task, layout.subsets, metadata.eval_splits[0], layout.judged),
    )


def read(spec: CorpusSpec, languages: Sequence[str], progress: bool = True) -> ParallelCorpus:
    """Read some languages of the pool of a task of MTEB's own, by the adapter of the task's layout.

    Args:
        spec: The pool; its ``origin`` says what is read.
        languages: Languages to read.
        progress: Whether progress bars are wanted; MTEB's loader decides for itself.

    Raises:
        DataError: The data cannot be had or is malformed.
    """
    assert spec.origin is not None
    layout = layouts.layout_of(spec.origin.task, origin_task(spec.origin.task).metadata.hf_subsets_to_langscripts)
    if layout.adapter == layouts.BELEBELE:
        parts = read_belebele(spec, languages)
    elif layout.adapter == layouts.PAIRS:
        parts = read_pairs(spec, languages, layout.pairs)
    else:
        parts = read_monolingual(spec, languages, parallel=layout.adapter == layouts.SAME_IDS)
    return ParallelCorpus(spec.name, revision_of(spec.origin), parts)


def revision_of(origin: Origin) -> str:
    """Return what names the exact texts of a pool: the commit that MTEB pins, or a hash of the user's own copy.

    Raises:
        DataError: The copy cannot be read.
    """
    return repository_of(origin_task(origin.task)).exact_revision
