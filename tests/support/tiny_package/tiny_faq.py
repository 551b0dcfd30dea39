"""Four questions about a library's opening hours, in two languages. What docs/extending.md tells an author to write."""

from collections.abc import Sequence

from beir_hybrid.corpora import CorpusSpec, LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.spec import TaskFacts

TEXTS = {
    "en": [
        ("When does it open?", "The library opens at nine."),
        ("When does it close?", "At seven the doors are locked."),
        ("How long may I keep a book?", "Books are lent for four weeks."),
        ("What does a card cost?", "Cards are free for everybody."),
    ],
    "de": [
        ("Wann wird geöffnet?", "Die Bibliothek öffnet um neun."),
        ("Wann wird geschlossen?", "Um sieben werden die Türen verschlossen."),
        ("Wie lange darf ich ein Buch behalten?", "Bücher werden für vier Wochen verliehen."),
        ("Was kostet ein Ausweis?", "Ausweise sind für alle umsonst."),
    ],
}


def read(spec: CorpusSpec, languages: Sequence[str], progress: bool) -> ParallelCorpus:
    """Read some languages: passage n answers question n."""
    parts = {}
    for language in languages:
        questions, passages = zip(*TEXTS[language], strict=True)
        numbers = range(len(questions))
        parts[language] = LanguageCorpus(
            language=language,
            question_ids=tuple(f"q{n}" for n in numbers),
            questions=questions,
            articles=("hours", "hours", "lending", "lending"),
            passage_ids=tuple(f"{language}:{n}" for n in numbers),
            passages=passages,
            relevance={f"q{n}": {n: 1} for n in numbers},
        )
    return ParallelCorpus(spec.name, spec.revision, parts)


SPEC = CorpusSpec(
    name="tiny-faq",
    title="Tiny FAQ",
    licence="cc0-1.0",
    languages=("en", "de"),
    revision="1.0",
    read=read,
    task=TaskFacts(name="TinyFAQ", description="Find the sentence that answers a reader's question."),
)
