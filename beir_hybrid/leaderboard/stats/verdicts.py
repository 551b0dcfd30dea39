"""What comparisons have shown: a difference, equivalence, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from beir_hybrid.leaderboard.stats.significance import Comparison, is_significant
from beir_hybrid.metrics import in_favour

Verdict = Literal[
    "better",
    "worse",
    "better, within the margin",
    "worse, within the margin",
    "higher",
    "lower",
    "higher, within the margin",
    "lower, within the margin",
    "equivalent",
    "not worse",
    "can't be told",
]
"""What the corrected p values say of a model and a baseline."""

Decision = Literal["better", "not worse", "worse", "cannot tell", "higher", "lower"]
"""The same for somebody who has to decide: a verdict without its shades. Whether a difference lies within the margin is
for a gate to say, beside it."""

_DECISIONS: Mapping[Verdict, Decision] = {
    "better": "better",
    "better, within the margin": "better",
    "worse": "worse",
    "worse, within the margin": "worse",
    "higher": "higher",
    "higher, within the margin": "higher",
    "lower": "lower",
    "lower, within the margin": "lower",
    "equivalent": "not worse",
    "not worse": "not worse",
    "can't be told": "cannot tell",
}

_SAID: Mapping[tuple[bool, bool], tuple[Verdict, Verdict]] = {
    (False, True): ("better", "better, within the margin"),
    (False, False): ("worse", "worse, within the margin"),
    (True, True): ("higher", "higher, within the margin"),
    (True, False): ("lower", "lower, within the margin"),
}
"""Whether the figure lacks a better side, and whether the difference is to the better or upwards -> what is said."""


def is_equivalent(comparison: Comparison, alpha: float) -> bool:
    """Whether the difference is within the margin: the corrected p value of equivalence is at most alpha."""
    return comparison.p_equivalence_corrected is not None and comparison.p_equivalence_corrected <= alpha


def verdict(comparison: Comparison, alpha: float = 0.05, higher_is_better: bool | None = True) -> Verdict:
    """Say what a comparison has shown.

    A difference can be both real and too small to matter. No difference that was found and equivalence that was shown
    are two things: without a margin, or with too few units, it is neither.

    Returns:
        ``better`` or ``worse`` for a significant difference, ``higher`` or ``lower`` if the figure has no better side,
        with ``within the margin`` if it is equivalent, too; ``equivalent``; ``not worse`` where only non-inferiority
        was shown; else ``can't be told``.
    """
    equivalent = is_equivalent(comparison, alpha)
    if is_significant(comparison, alpha):
        said = _SAID[higher_is_better is None, in_favour(comparison.difference, higher_is_better is not False)]
        return said[equivalent]
    if equivalent:
        return "equivalent"
    if higher_is_better is None:
        return "can't be told"
    p = comparison.p_noninferiority_corrected
    return "not worse" if p is not None and p <= alpha else "can't be told"


def decision(said: Verdict, not_inferior: bool | None = None) -> Decision:
    """Return what a verdict comes to; the one place where the two vocabularies meet.

    Args:
        said: The verdict.
        not_inferior: What a gate has shown of the same figure; None where none was asked. A difference that was found
            stays one: a model can be worse, and by less than the margin. Else the gate decides between ``not worse``
            and ``cannot tell``, so that a table never contradicts it.
    """
    found = _DECISIONS[said]
    if not_inferior is None or found not in ("not worse", "cannot tell"):
        return found
    return "not worse" if not_inferior else "cannot tell"


def shows_noninferiority(low: float, p: float, p_t: float, margin: float, alpha: float) -> bool:
    """Whether a figure was shown not to be worse by a margin: the rule of a gate.

    All have to agree, each at half of alpha, the level of one side of a two-sided test, which is the custom for
    non-inferiority (ICH E9, Statistical Principles for Clinical Trials, 1998, section 5.5): so the interval that stands
    in the table decides, and what it does not see of skewed differences and of few units stops it. docs/ci.md shows
    how often each alone would be wrong.

    Args:
        low: Lower end of the interval of the difference, whose confidence is 1 - alpha.
        p: Of the one-sided randomization test at the margin.
        p_t: Of the t test of the same that allows for skewness.
        margin: The difference that does not matter.
        alpha: Twice the level.
    """
    return low > -margin and max(p, p_t) <= alpha / 2
