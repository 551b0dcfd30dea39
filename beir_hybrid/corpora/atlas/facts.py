"""The facts of Atlas-R, named in eleven languages: those of Unicode CLDR that facts.json holds.

tools/atlas_facts.py of the repository made that file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

from beir_hybrid.errors import DataError
from beir_hybrid.files import read_json

FACTS = Path(__file__).parent / "facts.json"
"""The file of the facts."""

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
"""Its languages, those of XQuAD-R."""

Texts = Mapping[str, str]
"""Language -> text, in all of ``LANGUAGES``."""

Split = Literal["train", "test"]

PERCENT_OF_TEST = 27
PERCENT_OF_TRAIN = 9
"""Shares of the entities; the others are left out, so that a model runs through both splits in a minute or two."""


@dataclass(frozen=True)
class Fact:
    """A fact and its words in all languages.

    Attributes:
        relation: What is stated, e.g. ``currency``.
        entity: What it is stated of: kind and code, e.g. ``country-CH``.
        name: The name of the entity.
        value: The answer.
        item: The day or month that a word is asked for; empty for all other relations.
    """

    relation: str
    entity: str
    name: Texts
    value: Texts
    item: Texts = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Relation and entity: a relation states one thing of an entity."""
        return f"{self.relation}-{self.entity}"


def stable_number(*words: str, below: int) -> int:
    """Draw a number from 0 to ``below`` - 1 that the words decide, the same in every process."""
    return int.from_bytes(sha256("|".join(words).encode()).digest()[:8], "big") % below


def split_of(entity: str) -> Split | None:
    """Return the split that an entity and all its facts belong to, None if it is left out."""
    drawn = stable_number("split", entity, below=100)
    if drawn < PERCENT_OF_TEST:
        return "test"
    return "train" if drawn < PERCENT_OF_TEST + PERCENT_OF_TRAIN else None


@cache
def all_facts() -> tuple[Fact, ...]:
    """Return the facts of both splits: of countries, of languages, of currencies.

    Raises:
        DataError: The file of the facts is missing or damaged.
    """
    content = read_json(FACTS, DataError)
    names = {key: dict(zip(LANGUAGES, texts, strict=True)) for key, texts in content["names"].items()}

    def texts(word: str) -> Texts:
        """Return a word's name; what has none, a year, is the same in all languages."""
        return names.get(word) or dict.fromkeys(LANGUAGES, word)

    return tuple(Fact(relation, words[0], *map(texts, words)) for relation, *words in content["facts"])
