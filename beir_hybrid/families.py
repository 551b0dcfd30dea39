"""Families and scripts of languages, and the groups of language pairs that follow from them.

A family is the top level of a language's line in Glottolog, as mteb has it. A language of which none is known, or that
descends from no other, such as Esperanto, is of no family: it is related to nothing, not even to another of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from beir_hybrid.errors import DataError
from beir_hybrid.languages import iso_639_3, script_of, tag_of
from beir_hybrid.subsets import SETTINGS

FILE = Path(__file__).with_suffix(".toml")

Kind = Literal["family", "script"]
"""What groups of language pairs are made by."""

MONOLINGUAL = SETTINGS[0]
WITHIN_FAMILY = "within family"
BETWEEN_FAMILIES = "between families"
UNKNOWN_FAMILY = "unknown family"
SAME_SCRIPT = "same script"
OTHER_SCRIPT = "other script"

FAMILY_GROUPS = (MONOLINGUAL, WITHIN_FAMILY, BETWEEN_FAMILIES, UNKNOWN_FAMILY)
"""Each pair of languages is in one of them."""

SCRIPT_GROUPS = (MONOLINGUAL, SAME_SCRIPT, OTHER_SCRIPT)
"""Each pair of languages is in one of them."""

_AND_OTHERS = "{} and others"


def family_of(tag: str) -> str | None:
    """Return the family of a language, e.g. Indo-European; None if it has none or none is known.

    Args:
        tag: A tag, ``zh-Hant``, or the same with MTEB's three letters, ``zho-Hant``. Script and region do not matter.

    Source: Glottolog (glottolog.org), the families of ``mteb.languages.ISO_TO_FAM_LEVEL0``; an isolate is a family.
    """
    try:
        code = iso_639_3(tag_of(tag))
    except DataError:
        return None
    families, members = _tables()
    return families.get(members.get(code, code))


def family_name(tag: str) -> str:
    """Return the family of a language as a reader knows it; "unknown family" for none."""
    return family_of(tag) or UNKNOWN_FAMILY


def pair_groups(questions: str, answers: str) -> tuple[str, ...]:
    """Return the groups that a pair of languages is in.

    Args:
        questions: Tag of the questions' language, or MTEB's code.
        answers: Tag of the passages' language.

    Returns:
        ``monolingual`` if they are the same. Else ``within family``, ``between families`` or, where the family of one
        is not known, ``unknown family``; ``same script`` or ``other script``; the name of the family if they share it,
        and ``<family> and others`` of both families if they do not.

    Raises:
        DataError: One is not a tag.
    """
    first, second = tag_of(questions), tag_of(answers)
    if first == second:
        return (MONOLINGUAL,)
    script = SAME_SCRIPT if script_of(first) == script_of(second) else OTHER_SCRIPT
    one, other = family_of(first), family_of(second)
    if one is None or other is None:
        return UNKNOWN_FAMILY, script
    if one == other:
        return WITHIN_FAMILY, script, one
    return BETWEEN_FAMILIES, script, _AND_OTHERS.format(one), _AND_OTHERS.format(other)


def groups_of(pairs: Iterable[tuple[str, str]], by: Kind | None = None) -> dict[str, list[tuple[str, str]]]:
    """Sort pairs of languages into their groups.

    Args:
        pairs: Language of the questions and language of the passages.
        by: Groups of families only, or of scripts; None for both.

    Returns:
        Group -> its pairs in the order in which they come; the groups of all families and scripts first, then family
        by family. Groups without a pair are left out.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for pair in pairs:
        for group in pair_groups(*pair):
            found.setdefault(group, []).append(pair)
    first = [*FAMILY_GROUPS, *SCRIPT_GROUPS[1:]]
    order = [group for group in first if group in found] + sorted(group for group in found if group not in first)
    if by is not None:
        order = [group for group in order if group == MONOLINGUAL or (group in SCRIPT_GROUPS) == (by == "script")]
    return {group: found[group] for group in order}


def family_runs(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return the families of languages in a row: name, place of the first, and number of languages.

    Args:
        tags: Languages, in family order. Those of no known family are in no common one, but stand under one name.
    """
    runs: list[tuple[str, int, int]] = []
    for place, tag in enumerate(tags):
        if runs and runs[-1][0] == family_name(tag):
            name, first, number = runs.pop()
            runs.append((name, first, number + 1))
        else:
            runs.append((family_name(tag), place, 1))
    return runs


def in_family_order(tags: Iterable[str]) -> list[str]:
    """Sort languages by family, then by tag; those of no known family last."""
    return sorted(tags, key=lambda tag: (family_of(tag) is None, family_name(tag), tag))


@cache
def _tables() -> tuple[dict[str, str], dict[str, str]]:
    """Code of a language -> its family, and code of a macro-language -> a language that it comprises."""
    import tomllib

    with FILE.open("rb") as file:
        tables = tomllib.load(file)
    by_family = [*tables["glottolog"].items(), *tables["further"].items()]
    return {code: family for family, codes in by_family for code in codes.split()}, tables["members"]
