"""The check that authors of corpora run: it passes what is right, and names each thing that is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from beir_hybrid.corpora import CorpusSpec, LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.spec import TaskFacts
from beir_hybrid.testing import NotConforming, check_corpus
from tests.support.tiny_package import tiny_faq

Parts = Mapping[str, LanguageCorpus]


def changed(change: Callable[[Parts], Parts], **fields: Any) -> CorpusSpec:
    """Return the tiny corpus with other texts, and a spec that says something else."""

    def read(spec: CorpusSpec, languages: Sequence[str], progress: bool) -> ParallelCorpus:
        corpus = tiny_faq.read(spec, languages, progress)
        return replace(corpus, languages=change(corpus.languages))

    return replace(tiny_faq.SPEC, **{"read": read, **fields})


def of(language: str, **fields: Any) -> Callable[[Parts], Parts]:
    """Change some fields of one language."""
    return lambda parts: {code: replace(part, **fields) if code == language else part for code, part in parts.items()}


def renamed(parts: Parts) -> Parts:
    """Give passages ids without their language."""
    ids = ("0", "1", "2", "3")
    return {code: replace(part, passage_ids=ids) for code, part in parts.items()}


def other_texts_together(parts: Parts) -> Parts:
    """Change a text where both languages are read."""
    return of("de", questions=("?", "?", "?", "?"))(parts) if len(parts) > 1 else parts


def test_a_corpus_that_follows_the_checklist_passes() -> None:
    check_corpus(tiny_faq.SPEC)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (replace(tiny_faq.SPEC, languages=()), "names no language"),
        (replace(tiny_faq.SPEC, languages=("en", "de", "en")), "names a language twice"),
        (replace(tiny_faq.SPEC, languages=("en", "deu")), "'deu' is no language tag"),
        (replace(tiny_faq.SPEC, read=None), "no `read`"),
        (replace(tiny_faq.SPEC, task=None), "no `task`"),
        (replace(tiny_faq.SPEC, revision=""), "no revision"),
        (replace(tiny_faq.SPEC, licence=""), "names no licence"),
        (replace(tiny_faq.SPEC, task=TaskFacts("Tiny", domains=("Cookery",))), "tasks: ValidationError"),
        (replace(tiny_faq.SPEC, languages=("de", "en")), ""),
        (changed(lambda parts: dict(reversed(parts.items()))), "in this order"),
        (changed(renamed), "'0' does not begin with 'en:'"),
        (changed(of("de", passage_ids=("de:q0", "de:1", "de:2", "de:3"))), "names both a query and a passage"),
        (changed(of("de", passage_ids=("en:q0", "de:1", "de:2", "de:3"))), "'en:q0' names a passage and a query"),
        (changed(of("de", question_ids=("q0 ", "q1", "q2", "q3"))), "has spaces around it"),
        (changed(of("de", questions=("Wann?", " ", "Wie?", "Was?"))), "the question 'de:q1' is empty"),
        (changed(of("de", articles=("other", "hours", "lending", "lending"))), "'hours' in en and 'other' in de"),
        (changed(of("de", relevance={"q9": {0: 1}})), "the question 'q9', which is asked in no language"),
        (changed(lambda parts: of("en", relevance={})(of("de", relevance={})(parts))), "no question has a relevant"),
        (changed(of("de", ignored={"q0": [0]})), "relevant to the question 'q0', and no candidate"),
        (changed(other_texts_together), "de read alone has other questions"),
        (
            changed(of("de", question_ids=("a", "b", "c", "d")), judged_in_own_language=True),
            "answers the question 'q0' of another language",
        ),
    ],
)
def test_each_fault_is_named(spec: CorpusSpec, fault: str) -> None:
    if not fault:
        check_corpus(spec)  # an order of its own is fine as long as `read` follows it
        return
    with pytest.raises(NotConforming) as error:
        check_corpus(spec)
    assert fault in str(error.value)
    assert all(line.startswith("tiny-faq: ") for line in str(error.value).splitlines())


def test_a_reader_that_takes_any_language_is_named() -> None:
    loose = type("Loose", (CorpusSpec,), {"choose": lambda self, languages: tuple(languages or self.languages)})
    fields = {
        name: getattr(tiny_faq.SPEC, name) for name in ("name", "title", "licence", "languages", "revision", "task")
    }

    def read(spec: CorpusSpec, languages: Sequence[str], progress: bool) -> ParallelCorpus:
        return tiny_faq.read(spec, [language for language in languages if language in tiny_faq.TEXTS], progress)

    with pytest.raises(NotConforming, match="a language that it has not is no DataError"):
        check_corpus(loose(read=read, **fields))
