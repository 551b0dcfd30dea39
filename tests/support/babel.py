"""A made-up corpus of 130 languages with codes of three letters, added as any other: a spec and its tasks."""

from __future__ import annotations

from collections.abc import Sequence

from mteb.languages import ISO_TO_LANGUAGE

from beir_hybrid.corpora import CorpusSpec, LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.spec import PairSource, TaskFacts
from beir_hybrid.languages import is_tag
from beir_hybrid.tasks import tasks_of

LANGUAGES = tuple(code for code in sorted(ISO_TO_LANGUAGE) if len(code) == 3 and is_tag(code))[:130]
QUESTIONS = ("q0", "q1", "q2")


def passages_of(language: str) -> tuple[str, ...]:
    """Return a language's passages: passage n answers question n. Every fifth language lacks the last one."""
    n_answers = len(QUESTIONS) - (LANGUAGES.index(language) % 5 == 4)
    return tuple(f"{language} answer {n}" for n in range(n_answers))


def read(spec: CorpusSpec, languages: Sequence[str], progress: bool = True) -> ParallelCorpus:
    """Make the texts of some languages."""
    parts = {}
    for language in languages:
        passages = passages_of(language)
        parts[language] = LanguageCorpus(
            language=language,
            question_ids=QUESTIONS,
            questions=tuple(f"{language} question {n}" for n in range(len(QUESTIONS))),
            articles=("first", "first", "second"),
            passage_ids=tuple(f"{language}:{n}" for n in range(len(passages))),
            passages=passages,
            relevance={f"q{n}": {n: 1} for n in range(len(passages))},
        )
    return ParallelCorpus(spec.name, spec.revision, parts)


SPEC = CorpusSpec(
    name="babel",
    title="Babel",
    licence="cc0-1.0",
    languages=LANGUAGES,
    revision="made up",
    read=read,
    task=TaskFacts(name="BabelRetrieval", path="tests/babel", description="Made up."),
    pairs={"babel": PairSource(read)},
)


BabelRetrieval, BabelRetrievalLanguageBias = tasks_of(SPEC)
