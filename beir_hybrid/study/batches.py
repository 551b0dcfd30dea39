"""How the batches of a system are made, and the label that says so: ``X-X``, ``hybrid-0.5``, ``X-Y-pair+neg``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.training.batching import Batching, Pairing

ALPHA = 0.5
"""Share of monolingual batches of the hybrid batches that claims are about, and that settings are chosen with."""

MINED = "+neg"
"""What the labels of systems with mined hard negatives end with."""

_KINDS: Mapping[str, Batching] = {"X-X": "monolingual", "X-Y": "cross-lingual", "hybrid": "hybrid", "mixed": "mixed"}
_LABEL = re.compile(r"(?P<kind>X-X|X-Y|hybrid|mixed)(?P<pair>-pair)?(-(?P<alpha>\d+(\.\d+)?))?(?P<mined>\+neg)?")


class StudyError(BeirHybridError):
    """A study is described wrongly, or cannot be run or reported."""


@dataclass(frozen=True)
class Batches:
    """How batches are made.

    Attributes:
        batching: Which pairs of languages they are made of.
        alpha: Share of monolingual batches, for hybrid batches; None for others.
        pairing: Whether cross-lingual batches have rows of many pairs or of one; None where there are none.
        mined: Whether their rows have mined hard negatives.
    """

    batching: Batching
    alpha: float | None = None
    pairing: Pairing | None = None
    mined: bool = False

    @property
    def label(self) -> str:
        """``X-X``, ``X-Y``, ``hybrid-0.5`` or ``mixed``; with one pair a batch ``X-Y-pair``; with ``+neg`` if mined."""
        kind = next(kind for kind, batching in _KINDS.items() if batching == self.batching)
        pair = "-pair" if self.pairing == "pair" else ""
        return kind + pair + ("" if self.alpha is None else f"-{self.alpha:g}") + (MINED if self.mined else "")

    @property
    def of_selection(self) -> Batches:
        """The batches whose settings these get: their own, or for hybrid ones those of `ALPHA`."""
        return self if self.alpha is None else replace(self, alpha=ALPHA)


def batches_of(label: str) -> Batches:
    """Read a label.

    Raises:
        StudyError: It is none.
    """
    match = _LABEL.fullmatch(label)
    batching = _KINDS[match["kind"]] if match else "mixed"
    across = batching in ("hybrid", "cross-lingual")
    if (
        match is None
        or (match["alpha"] is None) == (batching == "hybrid")
        or (match["pair"] and not across)
        or not 0 <= float(match["alpha"] or 0) <= 1
    ):
        raise StudyError(
            f"{label!r} is no system; there is X-X, X-Y, hybrid-ALPHA and mixed, X-Y-pair and hybrid-pair-ALPHA with "
            "one pair of languages a batch, and each with +neg behind it for mined hard negatives"
        )
    alpha = float(match["alpha"]) if match["alpha"] else None
    pairing: Pairing | None = ("pair" if match["pair"] else "mixed") if across else None
    return Batches(batching, alpha, pairing, bool(match["mined"]))
