"""What a call of MTEB's ``evaluate`` brings along, and what is kept from one call to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mteb.models import MTEBModels
    from mteb.timing import TimingStack
    from mteb.types import EncodeKwargs, ScoresDict

    from beir_hybrid.mteb.evaluation import Search


@dataclass(frozen=True)
class Call:
    """A call of ``evaluate``.

    Attributes:
        model: Any model that MTEB can run.
        split: Split to evaluate on.
        encode_kwargs: Batch size and the like, passed to the encoder.
        prediction_folder: Where predictions and rank tables go; None for no predictions.
        num_proc: Processes for the data loader.
        timer: Records the phases.
    """

    model: MTEBModels
    split: str
    encode_kwargs: EncodeKwargs
    prediction_folder: Path | None
    num_proc: int | None
    timer: TimingStack


@dataclass
class Kept:
    """What is kept between the calls of one `mteb.evaluate`, which asks for subset after subset with the same timer.

    In any other call the model may have been trained meanwhile.

    Attributes:
        call: The first of the calls.
        scores: Scores that nobody has asked for yet, by subset.
        search: The search of the last call, where the model searches.
    """

    call: Call
    scores: dict[str, ScoresDict] = field(default_factory=dict)
    search: Search | None = None

    def is_of(self, call: Call) -> bool:
        """Whether a call belongs to the same `mteb.evaluate`."""
        return self.call.model is call.model and self.call.timer is call.timer
