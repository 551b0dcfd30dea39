"""Subsets, MTEB's word for the columns of a task: a question language and a pool. And the settings they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from beir_hybrid.errors import DataError
from beir_hybrid.languages import is_tag

MULTI = "multi"
"""Name of the pool of all languages, in subsets (``en-multi``) and wherever a pool is named by its language."""

CROSS = "cross"
"""The pools of all other languages one by one, in subsets of corpora of many languages: the mean of their scores."""

MOST_PAIRED = 20
"""The languages up to which each pair is a subset. MTEB writes its whole result after every one of them."""

SETTINGS = ("monolingual", "cross-lingual", "multilingual")


class Subset(NamedTuple):
    """The questions in one language on one pool.

    Written ``en-de``, ``en-multi`` and ``en-cross``; where a language tag holds a hyphen, ``_`` joins: ``zh-Hant_en``.

    Attributes:
        questions: Language of the questions, a BCP 47 tag.
        pool: Language of the passages; ``multi`` for the pool of all languages, ``cross`` for the mean over the pools
            of the other languages.
    """

    questions: str
    pool: str

    def __str__(self) -> str:
        joint = "_" if "-" in self.questions + self.pool else "-"
        return f"{self.questions}{joint}{self.pool}"

    @property
    def setting(self) -> str:
        """One of SETTINGS."""
        if self.pool == MULTI:
            return "multilingual"
        return "monolingual" if self.pool == self.questions else "cross-lingual"

    @classmethod
    def parse(cls, name: str) -> Subset:
        """Read the name of a subset.

        Raises:
            DataError: It is none.
        """
        questions, _, pool = name.partition("_" if "_" in name else "-")
        subset = cls(questions, pool)
        if not is_tag(questions) or not (pool in (MULTI, CROSS) or is_tag(pool)) or str(subset) != name:
            raise DataError(
                f"{name!r} is not the name of a subset, <language of the questions>-<language of the passages, or "
                f"{MULTI} or {CROSS}>, such as en-de, en-{MULTI} or zh-Hant_en"
            )
        return subset


def is_subset(name: str) -> bool:
    """Return whether a text is the name of a subset."""
    try:
        Subset.parse(name)
    except DataError:
        return False
    return True


def setting_of(name: str) -> str:
    """Return the setting of a subset: ``en-en`` is monolingual, ``en-de`` cross-lingual, ``en-multi`` multilingual.

    Raises:
        DataError: It is not the name of a subset.
    """
    return Subset.parse(name).setting


def all_subsets(languages: Sequence[str]) -> list[Subset]:
    """Return the subsets of a corpus: monolingual, cross-lingual by question language, multilingual."""
    return [
        *(Subset(x, x) for x in languages),
        *(Subset(x, y) for x in languages for y in languages if x != y),
        *(Subset(x, MULTI) for x in languages),
    ]


def task_subsets(languages: Sequence[str]) -> list[Subset]:
    """Return the subsets that MTEB writes; more than MOST_PAIRED languages have ``cross`` instead of pairs."""
    if len(languages) <= MOST_PAIRED:
        return all_subsets(languages)
    return [
        *(Subset(x, x) for x in languages),
        *(Subset(x, CROSS) for x in languages),
        *(Subset(x, MULTI) for x in languages),
    ]


def pairs_of(subset: Subset, languages: Sequence[str]) -> list[Subset]:
    """Return the subsets of one pool each that a subset is the mean of: itself, if its pool is not ``cross``."""
    if subset.pool != CROSS:
        return [subset]
    return [Subset(subset.questions, pool) for pool in languages if pool != subset.questions]
