"""The three settings, and the names of the subsets that belong to them."""

from __future__ import annotations

MULTI = "multi"
"""Name of the pool of all languages, in subsets (``en-multi``) and wherever a pool is named by its language."""

SETTINGS = ("monolingual", "cross-lingual", "multilingual")


def setting_of(subset: str) -> str:
    """Return the setting of a subset: ``en-en`` is monolingual, ``en-de`` cross-lingual, ``en-multi`` multilingual."""
    query_language, pool = subset.split("-")
    if pool == MULTI:
        return "multilingual"
    return "monolingual" if pool == query_language else "cross-lingual"
