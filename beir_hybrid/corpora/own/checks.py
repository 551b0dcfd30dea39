"""Checks a corpus as a whole: what `beir-hybrid data check` says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from beir_hybrid import corpora
from beir_hybrid.corpora import registry
from beir_hybrid.corpora.own.description import read_description
from beir_hybrid.corpora.own.faults import Faults
from beir_hybrid.corpora.own.findings import OVERLONG, answer_languages
from beir_hybrid.corpora.own.parts import read_parts
from beir_hybrid.corpora.own.specs import OwnCorpus, open_beir, open_folder
from beir_hybrid.corpora.parallel import LanguageCorpus
from beir_hybrid.files import shown, user_path
from beir_hybrid.languages import is_tag

_BEIR = "beir:"


@dataclass(frozen=True)
class Checked:
    """What was found in a corpus.

    Attributes:
        heading: What it is.
        parts: Language -> its questions and passages, as far as they could be read.
        faults: What is wrong with its files, one line each.
        nowhere: How many faults are judgments that point nowhere.
        notes: What else there is to say, one line each.
    """

    heading: str
    parts: Mapping[str, LanguageCorpus]
    faults: Sequence[str] = ()
    nowhere: int = 0
    notes: Sequence[str] = ()

    def remarks(self) -> Iterator[str]:
        """Yield what stands below the table of languages."""
        times = Counter(answer_languages(self.parts).values())
        answers = "; ".join(f"in {n}: {times[n]:,}" for n in sorted(times, reverse=True))
        yield f"Questions by the number of languages with an answer: {answers}"
        yield f"Judgments that point nowhere: {self.nowhere:,}"
        ignored = sum(len(rows) for part in self.parts.values() for rows in part.ignored.values())
        if ignored:
            yield f"Passages that are no candidates for a question: {ignored:,}"
        yield f"Overlong are texts of more than {OVERLONG:,} characters; doubled, those that repeat another"
        yield from self.notes


def check(source: str) -> Checked:
    """Check a corpus.

    Args:
        source: As for ``corpora.load``. Of a folder every fault is found; of anything else, the first is raised.

    Raises:
        DataError: There is no such corpus, or one that is not in a folder cannot be read.
    """
    faults = Faults(collect=True)
    if source.startswith(_BEIR):
        return _of_folder(open_beir(user_path(source.removeprefix(_BEIR)), faults), faults)
    if registry.find(source) is None and user_path(source).is_dir():
        description = read_description(user_path(source), faults)
        if description is None or not description.source:
            corpus = None if description is None else open_folder(user_path(source), description, faults)
            return _of_folder(corpus, faults)
        if faults.lines:
            return Checked("", {}, faults.lines)
    loaded = corpora.load(source)
    assert loaded.spec is not None
    return Checked(f"{shown(loaded.spec.title)} ({loaded.spec.licence}), revision {loaded.revision}", loaded.languages)


def _of_folder(corpus: OwnCorpus | None, faults: Faults) -> Checked:
    if corpus is None:
        return Checked("", {}, faults.lines)
    given = corpus.description
    parts = read_parts(corpus.folder, given.languages, faults)
    heading, notes = f"{shown(given.title or given.name)} ({shown(given.licence)})", []
    if not faults.lines:
        heading += f", task {given.task_name}, revision {shown(corpus.revision)}"
        if given.revision and given.revision != corpus.revision:
            notes.append("The files are not those that the revision in corpus.toml was given to: it does not count")
    inside = {path.name for path in corpus.folder.path.iterdir() if path.is_dir() and is_tag(path.name)}
    if unread := sorted(inside - set(given.languages)):
        notes.append(f"Not read, since corpus.toml does not name them: {' '.join(unread)}")
    return Checked(heading, parts, faults.lines, faults.nowhere, notes)
