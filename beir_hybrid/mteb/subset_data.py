"""The subsets of a parallel corpus: their names and languages, and their data in MTEB's layout."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from beir_hybrid.languages import mteb_code
from beir_hybrid.subsets import CROSS, MULTI, Subset, pairs_of, task_subsets

if TYPE_CHECKING:
    from datasets import Dataset

    from beir_hybrid.corpora.parallel import ParallelCorpus


def subset_languages(
    languages: Sequence[str], judged: Collection[tuple[str, str]] | None = None
) -> dict[str, list[str]]:
    """Return the subsets with their languages: monolingual, cross-lingual (question language first), multilingual.

    A multilingual subset has the language of its questions first and all others behind it.

    Args:
        languages: The languages of the corpus.
        judged: Languages of questions and of passages that there are judgments of; None for all.
    """
    found = {}
    for subset in task_subsets(languages):
        pairs = pairs_of(subset, languages)
        if judged is not None and subset.pool != MULTI and not any(pair in judged for pair in pairs):
            continue
        if subset.pool in (MULTI, CROSS):
            others = [language for language in languages if language != subset.questions]
        else:
            others = [] if subset.setting == "monolingual" else [subset.pool]
        found[str(subset)] = [mteb_code(language) for language in (subset.questions, *others)]
    return found


def languages_of(subsets: Sequence[str], all_languages: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the languages of the questions and of the passages that some subsets need, in the order of the corpus."""
    parsed = [*map(Subset.parse, subsets)]
    asked, pools = {subset.questions for subset in parsed}, {subset.pool for subset in parsed}
    return (
        [language for language in all_languages if language in asked],
        [language for language in all_languages if pools & {MULTI, CROSS, language}],
    )


class SubsetData(Mapping[str, dict[str, Any]]):
    """Subset -> split -> corpus, queries and relevant documents, as MTEB's retrieval tasks keep them.

    Made when looked up, on data sets that the subsets share: 132 subsets would otherwise hold each text 23 times.
    """

    def __init__(
        self, corpus: ParallelCorpus, subsets: Sequence[str], split: str, judged_in_own_language: bool = False
    ) -> None:
        self.corpus = corpus
        self.subsets = dict.fromkeys(subsets)
        self.split = split
        self._judged_in_own_language = judged_in_own_language
        self._made: dict[str, dict[str, Any]] = {}
        self._datasets: dict[tuple[str, str], Dataset] = {}

    def __len__(self) -> int:
        return len(self.subsets)

    def __iter__(self) -> Iterator[str]:
        return iter(self.subsets)

    def __getitem__(self, subset: str) -> dict[str, Any]:
        if subset not in self.subsets:
            raise KeyError(subset)
        if subset not in self._made:
            self._made[subset] = {self.split: self._make(subset)}
        return self._made[subset]

    def is_reranking(self, subsets: Sequence[str]) -> bool:
        """Whether candidates to rerank were given for one of the subsets."""
        made = [self._made[subset][self.split] for subset in subsets if subset in self._made]
        return any(data["top_ranked"] is not None for data in made)

    def _make(self, subset: str) -> dict[str, Any]:
        from beir_hybrid.mteb.encode import passage_dataset, question_dataset

        query_language, pool = Subset.parse(subset)
        languages = list(self.corpus.languages) if pool == MULTI else [pool]
        judged = [query_language] if pool == MULTI and self._judged_in_own_language else languages
        if ("passages", pool) not in self._datasets:
            self._datasets["passages", pool] = passage_dataset(self.corpus, languages)
        if ("questions", query_language) not in self._datasets:
            self._datasets["questions", query_language] = question_dataset(self.corpus, query_language)
        return {
            "corpus": self._datasets["passages", pool],
            "queries": self._datasets["questions", query_language],
            "relevant_docs": self.corpus.judgments(query_language, judged),
            "top_ranked": None,
        }
