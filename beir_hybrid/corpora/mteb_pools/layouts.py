"""How retrieval tasks of MTEB's are laid out: which subset holds which language, and which texts are translations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from beir_hybrid.errors import DataError
from beir_hybrid.languages import is_tag, tag_of_mteb

OWN_LANGUAGE = "own language"
"""One subset a language, and nothing that shows which questions are translations: a question counts in its own."""

SAME_IDS = "same ids"
"""One subset a language, all translations of one data set: equal ids are translations where the judgments agree."""

PAIRS = "pairs"
"""One subset a pair of languages, that of the passages first: judgments across languages, questions of one language."""

BELEBELE = "belebele"
"""Pairs as well, but the monolingual subsets have all texts; translations have the same link and question number."""

_NANO = "ArguAna ClimateFever DBPedia FEVER FiQA2018 HotpotQA MSMARCO NFCorpus NQ Quora SCIDOCS SciFact Touche2020"

_ADAPTERS = {
    "BelebeleRetrieval": BELEBELE,
    "EuroPIRQRetrieval": SAME_IDS,
    "MLQARetrieval": PAIRS,
    "MMarcoRetrievalMultilingual": SAME_IDS,
    "MuPLeR-retrieval": SAME_IDS,
    "XPQARetrieval": PAIRS,
    **{f"MultilingualNano{name}Retrieval": SAME_IDS for name in _NANO.split()},
}
"""Task -> adapter, where it is not that of its own language. What a pair means is known of these tasks only."""

_LANGUAGE_AND_COUNTRY = re.compile(r"(?P<language>[a-z]{2,3})[-_](?P<country>[A-Za-z]{2})")


class Pair(NamedTuple):
    """The languages of a subset: tags of its passages and its questions."""

    passages: str
    questions: str


@dataclass(frozen=True)
class Layout:
    """The layout of a task.

    Attributes:
        adapter: One of OWN_LANGUAGE, SAME_IDS, PAIRS, BELEBELE.
        languages: Tags of its languages, in its order.
        subsets: Language -> its monolingual subset, if it has one.
        pairs: Languages -> subset, where it has one a pair.
    """

    adapter: str
    languages: tuple[str, ...]
    subsets: Mapping[str, str]
    pairs: Mapping[Pair, str] = field(default_factory=dict)

    @property
    def judged(self) -> frozenset[tuple[str, str]] | None:
        """Languages of questions and of passages that there are judgments of; None for all."""
        return frozenset((pair.questions, pair.passages) for pair in self.pairs) if self.adapter == PAIRS else None


def layout_of(task: str, subsets: Mapping[str, Sequence[str]]) -> Layout:
    """Return the layout of a task.

    Args:
        task: Its name.
        subsets: Subset -> languages and scripts, as MTEB's metadata have them: of a pair, the two; else names of one
            language, the widest first.

    Raises:
        DataError: No pool can be made of it: its subsets are no languages or in one only, or pairs of an unknown order.
    """
    adapter = _ADAPTERS.get(task, OWN_LANGUAGE)
    if adapter in (PAIRS, BELEBELE):
        pairs = {Pair(*(_tag(task, subset, code) for code in codes)): subset for subset, codes in subsets.items()}
        own = {pair.passages: subset for pair, subset in pairs.items() if pair.passages == pair.questions}
        languages = tuple(dict.fromkeys([*own, *(language for pair in pairs for language in pair)]))
        return Layout(adapter, languages, own, pairs)
    tags = {subset: _tag(task, subset, codes[0]) for subset, codes in subsets.items()}
    if len({*tags.values()}) == 1 and len({code for codes in subsets.values() for code in codes}) == 1:
        raise DataError(f"mteb:{task}: has no language but {next(iter(tags.values()))}; a pool needs several")
    if len(subsets) == 1:
        raise DataError(f"mteb:{task}: has several languages in one subset, and nothing says which text is in which")
    if all(len(codes) == 2 for codes in subsets.values()):
        known = ", ".join(name for name, of_task in _ADAPTERS.items() if of_task == PAIRS)
        raise DataError(
            f"mteb:{task}: has a subset a pair of languages, and which of them is that of the questions is not known "
            f"here; it is of {known}"
        )
    times = Counter(tags.values())
    # Two countries' versions of one language, such as MKQA's zh_hk and zh_tw.
    tags = {subset: tag if times[tag] == 1 else _tag_in_name(subset) for subset, tag in tags.items()}
    if len({*tags.values()}) < len(tags) or not all(map(is_tag, tags.values())):
        raise DataError(f"mteb:{task}: several subsets are in one language, and their names do not tell them apart")
    return Layout(adapter, tuple(tags.values()), {tag: subset for subset, tag in tags.items()})


def _tag(task: str, subset: str, code: str) -> str:
    try:
        return tag_of_mteb(code)
    except DataError as error:
        raise DataError(f"mteb:{task}: its subset {subset!r} is no language ({error})") from error


def _tag_in_name(subset: str) -> str:
    """Read a tag off the name of a subset: ``zh-HK`` of ``zh_hk``; "" where there is none."""
    match = _LANGUAGE_AND_COUNTRY.fullmatch(subset)
    return f"{match['language']}-{match['country'].upper()}" if match else ""
