"""Write Glottolog's families, as mteb has them, into beir_hybrid/families.toml: ``python -m tools.language_families``.

The tables above the list are written by hand and stay. A test fails where the list is not that of the installed mteb.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict

from beir_hybrid.families import FILE
from beir_hybrid.files import atomic_path

HEADING = """\
# Every family and its languages, from mteb.languages.ISO_TO_FAM_LEVEL0 (`python -m tools.language_families`).
[glottolog]
"""

NO_FAMILIES = frozenset(
    {
        "Artificial Language",
        "Bookkeeping",
        "Mixed Language",
        "Pidgin",
        "Sign Language",
        "Speech Register",
        "Unattested",
        "Unclassifiable",
    }
)
"""What stands at the top level of Glottolog beside the families: languages there descend from no common one."""


def languages_by_family() -> dict[str, list[str]]:
    """Return family -> codes of ISO 639-3, both sorted, of mteb's list."""
    from mteb.languages import ISO_TO_FAM_LEVEL0

    found: dict[str, list[str]] = defaultdict(list)
    for code, family in sorted(ISO_TO_FAM_LEVEL0.items()):
        if family not in NO_FAMILIES:
            found[family].append(code)
    return dict(sorted(found.items()))


def _entry(family: str, codes: list[str]) -> str:
    line = f'"{family}" = "{" ".join(codes)}"'
    return line if len(line) <= 120 else f'"{family}" = """\n{textwrap.fill(" ".join(codes), 117)}"""'


def main() -> None:
    """Write the list anew."""
    by_hand = FILE.read_text(encoding="utf-8").partition(HEADING)[0]
    entries = [_entry(family, codes) for family, codes in languages_by_family().items()]
    with atomic_path(FILE) as temporary:
        temporary.write_text(by_hand + HEADING + "\n".join(entries) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
