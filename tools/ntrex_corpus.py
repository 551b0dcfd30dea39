"""NTREX-128 as a corpus folder, where a sentence is a question and its answers: python -m tools.ntrex_corpus OUT."""

import sys
from pathlib import Path

from beir_hybrid.corpora import CorpusSpec, LanguageCorpus, ParallelCorpus, ntrex
from beir_hybrid.corpora.formats.corpus_folder import export_corpus
from beir_hybrid.corpora.spec import TaskFacts
from beir_hybrid.errors import BeirHybridError


def ntrex_corpus() -> ParallelCorpus:
    """Read the sentences, from BEIR_HYBRID_DATA or by a download, and make them questions and passages."""
    source = ntrex.SPEC
    texts = ntrex.read(source, source.languages)
    ids = tuple(str(row) for row in range(len(texts.documents)))
    languages = {
        language: LanguageCorpus(
            language=language,
            question_ids=ids,  # the same in every language: they are translations
            questions=sentences,
            articles=texts.documents,  # sentences of one news story hang together, which tests must know
            passage_ids=[f"{language}:p:{row}" for row in ids],
            passages=sentences,
            relevance={question: {row: 1} for row, question in enumerate(ids)},
        )
        for language, sentences in texts.languages.items()
    }
    spec = CorpusSpec(
        name="ntrex-128",
        title="NTREX-128",
        licence=source.licence,
        languages=source.languages,
        revision=texts.revision,
        citation=source.citation,
        task=TaskFacts("NTREX128"),
        adapted_from=source.adapted_from,
    )
    return ParallelCorpus(spec.name, texts.revision, languages, spec)


if __name__ == "__main__":
    try:
        out = sys.argv[1] if sys.argv[1:] else "."
        print(export_corpus(ntrex_corpus(), Path(out)))
    except BeirHybridError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
