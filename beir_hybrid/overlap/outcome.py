"""Training data compared with evaluations, and what came out: what `beir-hybrid overlap` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from beir_hybrid.files import write_json
from beir_hybrid.overlap.check import NEAR, Overlap, TrainingData, find_overlap, read_evaluation, read_training

MAX_SHARE = 0.01
"""Share of a language's texts of a kind that may match."""


@dataclass(frozen=True)
class Outcome:
    """What a comparison found.

    Attributes:
        training: The training data.
        overlap: The overlap of all of them with each language and kind of the evaluations.
        near: Jaccard similarity from which texts are near-duplicates.
        max_share: Share of a language's texts of a kind that may match.
    """

    training: Sequence[TrainingData]
    overlap: Sequence[Overlap]
    near: float
    max_share: float

    @property
    def above(self) -> list[Overlap]:
        """The languages and kinds of which a larger share matches."""
        return [part for part in self.overlap if part.share > self.max_share]

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            BeirHybridError: It cannot be written.
        """
        content = {
            "training": [
                {"name": data.name, "revision": data.revision, "texts": len(data.fingerprints.table)}
                for data in self.training
            ],
            "near": self.near,
            "max_share": self.max_share,
            "above_max_share": bool(self.above),
            "overlap": [{**asdict(part), "share": part.share} for part in self.overlap],
        }
        write_json(path, content, ensure_ascii=False)


def compare(
    training: Sequence[str],
    evaluations: Sequence[str],
    max_share: float = MAX_SHARE,
    near: float = NEAR,
    examples: int = 3,
    progress: bool = True,
) -> Outcome:
    """Compare training data with evaluations.

    Args:
        training: Sources of pairs, or folders that ``beir-hybrid train`` wrote.
        evaluations: Tasks, data sets or sources of pairs.
        max_share: Share of a language's texts of a kind that may match.
        near: Jaccard similarity from which texts are near-duplicates, above 0.
        examples: Examples of each language and kind, at most.
        progress: Show progress bars, if standard error is a terminal.

    Raises:
        BeirHybridError: Something named does not exist, or cannot be read.
    """
    data = [read_training(name, progress) for name in dict.fromkeys(training)]
    texts = [part for name in dict.fromkeys(evaluations) for part in read_evaluation(name, progress)]
    return Outcome(data, find_overlap(data, texts, near, examples, progress), near, max_share)
