"""Subsets, MTEB's word for the columns of a task: a question language and a pool. And the settings they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from beir_hybrid.errors import DataError
from beir_hybrid.languages import is_tag

MULTI = "multi"
"""Name of the pool of all languages, in subsets (``en-multi``) and wherever a pool is named by its language."""

SETTINGS = ("monolingual", "cross-lingual", "multilingual")


class Subset(NamedTuple):
    """The questions in one language on one pool.

    Written ``en-de`` and ``en-multi``; where a language tag holds a hyphen, ``_`` joins: ``zh-Hant_en``.

    Attributes:
        questions: Language of the questions, a BCP 47 tag.
        pool: Language of the passages; ``multi`` for the pool of all languages.
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
        if not is_tag(questions) or not (pool == MULTI or is_tag(pool)) or str(subset) != name:
            raise DataError(
                f"{name!r} is not the name of a subset, <language of the questions>-<language of the passages, or "
                f"{MULTI}>, such as en-de, en-{MULTI} or zh-Hant_en"
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
