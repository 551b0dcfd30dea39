"""What whoever evaluates on a corpus, trains on it or exports it relies on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from beir_hybrid.corpora import CorpusSpec, LanguageCorpus, ParallelCorpus, Source, load, spec_of_source
from beir_hybrid.errors import DataError
from beir_hybrid.languages import is_tag
from beir_hybrid.subsets import MULTI, Subset
from beir_hybrid.testing.conformance import broken, require

Faults = Iterator[str]


def check_corpus(source: Source, progress: bool = False) -> None:
    """Check that a corpus can be used wherever corpora are.

    It is read several times, exported to a temporary folder and read back, and searched by a made-up encoder in its
    smallest language: as we count, and as MTEB searches. So name a corpus, or some languages of one, that fits into
    memory; nothing is written elsewhere.

    Args:
        source: Its spec, or what `beir_hybrid.corpora.load` takes.
        progress: Show progress bars for downloads, if standard error is a terminal.

    Raises:
        NotConforming: With one line for each rule that it breaks.

    Examples:
        >>> from beir_hybrid.testing import check_corpus
        >>> check_corpus("atlas-r")
    """
    spec = spec_of_source(source)
    faults = list(broken(_OF_SPECS, spec))
    if not faults:
        try:
            corpus = load(spec, progress=progress)
        except DataError as error:
            faults = [str(error)]
        else:
            faults = list(broken(_OF_TEXTS, spec, corpus)) or list(broken(_OF_USES, spec, corpus))
    require(spec.name, faults)


def _languages(spec: CorpusSpec) -> Faults:
    if not spec.languages:
        yield "the spec names no language"
    if len(set(spec.languages)) < len(spec.languages):
        yield "the spec names a language twice"
    yield from (f"{language!r} is no language tag (BCP 47)" for language in spec.languages if not is_tag(language))


def _what_the_spec_says(spec: CorpusSpec) -> Faults:
    if spec.read is None:
        yield "the spec has no `read`, so that nothing can be evaluated"
    if spec.task is None:
        yield "the spec has no `task`, so that MTEB has no name for it"
    if not spec.revision and spec.origin is None:
        yield "the spec has no revision: nothing tells its texts from those of another version"
    if not spec.licence:
        yield "the spec names no licence"


def _tasks(spec: CorpusSpec) -> Faults:
    from beir_hybrid.tasks import tasks_of

    for task in tasks_of(spec):
        if not task.metadata.hf_subsets:
            yield f"{task.metadata.name} has no subset"


def _order_of_languages(spec: CorpusSpec, corpus: ParallelCorpus) -> Faults:
    if tuple(corpus.languages) != spec.languages:
        yield f"`read` gives {', '.join(corpus.languages)}, the spec says {', '.join(spec.languages)}, in this order"
    for language, part in corpus.languages.items():
        if part.language != language:
            yield f"the texts of {language} say that they are {part.language}"


def _ids(spec: CorpusSpec, corpus: ParallelCorpus) -> Faults:
    """Passages bear their language, and none is called like a query."""
    queries = {query_id for part in corpus.languages.values() for query_id in part.query_ids}
    for language, part in corpus.languages.items():
        other = next((name for name in part.passage_ids if not name.startswith(f"{language}:")), None)
        if other is not None:
            yield f"{language}: the passage id {other!r} does not begin with {language + ':'!r}"
        shared = next((name for name in part.passage_ids if name in queries), None)
        if shared is not None:
            yield f"{language}: {shared!r} names a passage and a query"
        odd = next((name for name in (*part.query_ids, *part.passage_ids) if name != name.strip() or not name), None)
        if odd is not None or any(not name.isprintable() for name in part.query_ids):
            yield f"{language}: the id {odd!r} is empty, or has spaces around it or letters that cannot be printed"


def _texts(spec: CorpusSpec, corpus: ParallelCorpus) -> Faults:
    for language, part in corpus.languages.items():
        empty = next(
            (name for name, text in zip(part.query_ids, part.questions, strict=True) if not text.strip()), None
        )
        if empty is not None:
            yield f"{language}: the question {empty!r} is empty"
        if not part.passages:
            yield f"{language}: there is no passage"


def _articles(spec: CorpusSpec, corpus: ParallelCorpus) -> Faults:
    """A question belongs to one article, whichever language it is asked in."""
    known: dict[str, tuple[str, str]] = {}
    for language, part in corpus.languages.items():
        for question, article in zip(part.question_ids, part.articles, strict=True):
            first, same = known.setdefault(question, (language, article))
            if same != article:
                yield f"the article of the question {question!r} is {same!r} in {first} and {article!r} in {language}"
                return


def _judgments(spec: CorpusSpec, corpus: ParallelCorpus) -> Faults:
    asked = {question for part in corpus.languages.values() for question in part.question_ids}
    judged = False
    for language, part in corpus.languages.items():
        own = set(part.question_ids)
        for question, rows in part.relevance.items():
            judged |= bool(rows) and question in asked
            if question not in asked:
                yield f"{language}: the judgments name the question {question!r}, which is asked in no language"
                return
            if rows and spec.judged_in_own_language and question not in own:
                yield f"{language}: answers the question {question!r} of another language, against the spec"
                return
            if any(row in rows for row in part.ignored.get(question, ())):
                yield f"{language}: a passage is relevant to the question {question!r}, and no candidate for it"
                return
    if not judged:
        yield "no question has a relevant passage"


def _languages_apart(spec: CorpusSpec, corpus: ParallelCorpus) -> Faults:
    """A language read alone is the same as with all others."""
    for language in {spec.languages[0], spec.languages[-1]}:
        alone = load(spec, [language], progress=False)
        yield from _differences(f"{language} read alone", corpus.languages[language], alone.languages[language])
    if load(spec, progress=False).revision != corpus.revision:
        yield "its revision is another one each time it is read"


def _unknown_language(spec: CorpusSpec, corpus: ParallelCorpus) -> Faults:
    try:
        load(spec, ["tlh" if "tlh" not in spec.languages else "art"], progress=False)
    except DataError:
        return
    yield "a language that it has not is no DataError"


def _export(spec: CorpusSpec, corpus: ParallelCorpus) -> Faults:
    """What is exported and read back is the same corpus."""
    from beir_hybrid.corpora.formats.corpus_folder import export_corpus

    with TemporaryDirectory() as folder:
        back = load(str(export_corpus(corpus, Path(folder))), progress=False)
        if spec.origin is None and back.revision != corpus.revision:
            yield f"exported and read back its revision is {back.revision!r}, not {corpus.revision!r}"
        for language, part in corpus.languages.items():
            yield from _differences(f"{language} exported and read back", part, back.languages[language])


def _beir(spec: CorpusSpec, corpus: ParallelCorpus) -> Faults:
    from beir_hybrid import beir

    language = next(language for language in corpus.languages if _is_judged(corpus, language))
    documents, queries, judgments = beir.load(spec, language, MULTI)
    if (
        len(documents) != sum(len(part.passages) for part in corpus.languages.values())
        or queries.keys() != judgments.keys()
    ):
        yield f"BEIR does not get what {Subset(language, MULTI)} holds"


def _evaluation(spec: CorpusSpec, corpus: ParallelCorpus) -> Faults:
    """Ranks that are counted give the scores of MTEB's own search."""
    from mteb.models import SearchEncoderWrapper

    from beir_hybrid.tasks import tasks_of
    from beir_hybrid.testing.made_up_encoder import MadeUpEncoder

    judged = [language for language in corpus.languages if _is_judged(corpus, language)]
    smallest = min(judged, key=lambda language: len(corpus.languages[language].passages))
    subset = str(Subset(smallest, smallest))
    scores: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        encoder: Any = MadeUpEncoder()
        models: list[Any] = [encoder, SearchEncoderWrapper(encoder)]
        for model in models:
            task = tasks_of(spec)[0]().filter_languages(None, hf_subsets=[subset])
            task.ranks_folder = Path(folder)
            scores.append(
                dict(task.evaluate(model, task.eval_splits[0], encode_kwargs={"show_progress_bar": False})[subset])
            )
    counted, searched = scores
    for name in counted.keys() & searched.keys():
        if name.endswith("at_10") and not np.isclose(counted[name], searched[name], atol=1e-5, equal_nan=True):
            yield f"{subset}: {name} is {counted[name]} by counting and {searched[name]} by MTEB's search"
            return


def _is_judged(corpus: ParallelCorpus, language: str) -> bool:
    part = corpus.languages[language]
    return any(part.relevance.get(question) for question in part.question_ids)


def _differences(what: str, part: LanguageCorpus, other: LanguageCorpus) -> Faults:
    for name in ("question_ids", "questions", "articles", "passage_ids", "passages", "titles"):
        ours, theirs = (None if (texts := getattr(of, name)) is None else list(texts) for of in (part, other))
        if ours != theirs:
            yield f"{what} has other {name.replace('_', ' ')}"
    if _without_nothing(part) != _without_nothing(other):
        yield f"{what} has other judgments"


def _without_nothing(part: LanguageCorpus) -> dict[str, dict[int, int]]:
    return {question: dict(rows) for question, rows in part.relevance.items() if rows}


_OF_SPECS = (_languages, _what_the_spec_says, _tasks)
_OF_TEXTS = (_order_of_languages, _ids, _texts, _articles, _judgments)
_OF_USES = (_languages_apart, _unknown_language, _export, _beir, _evaluation)
