"""Atlas-R: parallel questions and one-sentence passages in eleven languages, made of facts of Unicode CLDR.

The data are generated when they are read, from the facts in ``facts.json`` and the sentences in ``templates``: they are
the same everywhere, and nothing is downloaded. Atlas-R is meant for demonstrations, tests and quick experiments, and is
not a benchmark of the literature.

A file of ``templates`` holds the sentences of a language: for each relation that a fact states, paraphrases of the
question and of the statement. Their fields are ``{entity}``, what the fact is about, ``{value}``, the answer, and
``{item}``, the day or month that a word is asked for. An entity can be any country, language or currency, so a template
puts its name where the language does not inflect it: in apposition ("in der Sprache Polnisch"), in quotation marks, or
before a colon. A country stands without an article, in English and Spanish with the one that belongs to its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import get_args

from beir_hybrid.corpora.atlas.facts import LANGUAGES, Fact, Split, all_facts, split_of, stable_number
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.spec import CorpusSpec, PairSource, TaskFacts
from beir_hybrid.errors import DataError
from beir_hybrid.files import read_toml

REVISION = "4886a95e13caca4446a3e0ee78057a84d1c4830ae013b21f09abda23da57b2a2"
"""What names the texts: their ``content_hash``, known without generating them; reading checks it."""

Forms = Mapping[str, Sequence[str]]
"""The sentence templates of a relation: ``questions`` and ``passages``."""

_TEMPLATES = Path(__file__).with_name("templates")
_SHARED_FORMS = {"weekday_word": "word", "month_word": "word"}
"""Relation -> the name of its templates, where that is another."""


def read(languages: Iterable[str] | None = None, split: Split = "test") -> ParallelCorpus:
    """Generate a split of Atlas-R.

    Args:
        languages: Language tags; None for all.
        split: ``test`` or ``train``. An entity, and all that is asked and stated of it, is in one of them.

    Returns:
        The corpus: a question and a passage for each fact, whose id is the question's. In each language the passage
        that states the fact is relevant, and no other. ``articles`` are the entities, e.g. ``country-CH``.

    Raises:
        DataError: There is no such language or split, or the texts are not those of their revision.
    """
    if split not in get_args(Split):
        raise DataError(f"{SPEC.name}: unknown split {split!r}; it has {' and '.join(get_args(Split))}")
    wanted = SPEC.choose(languages)
    if content_hash() != REVISION:
        raise DataError(
            f"{SPEC.name}: its texts are no longer those of revision {REVISION[:12]}; restore the files in "
            f"beir_hybrid/corpora/atlas, or enter {content_hash()} as REVISION in its __init__.py"
        )
    facts = [fact for fact in all_facts() if split_of(fact.entity) == split]
    return ParallelCorpus(SPEC.name, REVISION, {language: _language_corpus(language, facts) for language in wanted})


@cache
def content_hash() -> str:
    """Return the SHA-256 of all texts, and of what is relevant to what, in both splits and all languages."""
    digest = sha256()
    for fact in all_facts():
        for language in LANGUAGES:
            texts = question_text(fact, language), passage_text(fact, language)
            record = (fact.id, split_of(fact.entity), language, *texts)
            digest.update(json.dumps(record).encode())
    return digest.hexdigest()


def question_text(fact: Fact, language: str) -> str:
    """Return the question for a fact: a paraphrase that fact and language choose."""
    return _sentence(fact, language, "question")


def passage_text(fact: Fact, language: str) -> str:
    """Return the passage that states a fact: a paraphrase that fact and language choose."""
    return _sentence(fact, language, "passage")


@cache
def templates(language: str) -> Mapping[str, Forms]:
    """Return the sentence templates of a language: relation -> ``questions`` and ``passages``.

    Raises:
        DataError: Their file is missing or malformed.
    """
    path = _TEMPLATES / f"{language}.toml"
    content = read_toml(path, DataError)
    for relation, forms in content.items():
        lists = (
            list(forms.values()) if isinstance(forms, dict) and forms.keys() == {"questions", "passages"} else [None]
        )
        if not all(isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in lists):
            raise DataError(f"{path}: [{relation}] is not two lists of sentences, questions and passages")
    return content


def _language_corpus(language: str, facts: Sequence[Fact]) -> LanguageCorpus:
    return LanguageCorpus(
        language=language,
        question_ids=tuple(fact.id for fact in facts),
        questions=tuple(question_text(fact, language) for fact in facts),
        articles=tuple(fact.entity for fact in facts),
        passage_ids=tuple(f"{language}:{n}" for n in range(len(facts))),
        passages=tuple(passage_text(fact, language) for fact in facts),
        relevance={fact.id: {row: 1} for row, fact in enumerate(facts)},
    )


def _sentence(fact: Fact, language: str, kind: str) -> str:
    forms = templates(language)[_SHARED_FORMS.get(fact.relation, fact.relation)][f"{kind}s"]
    form = forms[stable_number(kind, fact.id, language, below=len(forms))]
    text = form.format(entity=fact.name[language], value=fact.value[language], item=fact.item.get(language, ""))
    if language == "th":  # words adjoin, but a space follows a bracket
        text = re.sub(r"\)(?=[\u0e00-\u0e7f])", ") ", text)
    if text.endswith(".."):  # an abbreviation at the end of the sentence
        text = text[:-1]
    first = "İ" if language == "tr" and text[0] == "i" else text[0].upper()
    return first + text[1:]


SPEC = CorpusSpec(
    name="atlas-r",
    title="Atlas-R",
    licence="unicode-3.0",
    revision=REVISION,
    citation=r"""
@misc{unicode-cldr,
  author = {{The Unicode Consortium}},
  title = {Unicode Common Locale Data Repository ({CLDR})},
  url = {https://cldr.unicode.org},
}
""",
    languages=LANGUAGES,
    read=lambda _, languages, progress: read(languages),
    task=TaskFacts(
        name="AtlasR",
        path="beir-hybrid/atlas-r",
        description=(
            "Find the sentence that answers a question about a country, a language or a currency, among sentences that "
            "state the same of others and other things of the same, in one language or in all eleven at once. "
            "Generated from facts of Unicode CLDR with sentence templates: for demonstrations, tests and quick "
            "experiments, not a benchmark of the literature."
        ),
        reference="https://cldr.unicode.org",
        date=("2025-01-01", "2025-01-01"),
        domains=("Constructed", "Encyclopaedic", "Written"),
        annotations_creators="derived",
        sample_creation="created",
        license="https://www.unicode.org/license.txt",
    ),
    # The train split; what it asks is of other entities than the task's.
    pairs={"atlas": PairSource(lambda _, languages, progress: read(languages, "train"))},
)
